// What the recorded answers of tests/data/answers cost a model, in tokens of o200k, beside
// what the hosts printed. `npm install gpt-tokenizer` somewhere, then
// `node benches/compare/tokens.mjs DIRECTORY` (the one that holds its node_modules).
// With a file that `answers.py` wrote as second argument also what the answers of other
// servers cost. Exits 1 where an answer is over its target.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const [where = ".", recordings] = process.argv.slice(2);
const require = createRequire(`${where}/node_modules/`);
const { encode } = require("gpt-tokenizer/encoding/o200k_base");
const count = (text) => encode(text).length;
const answers = fileURLToPath(new URL("../../tests/data/answers/", import.meta.url));

// What varies from run to run is a word in brackets there.
const filled = (text, hash) =>
  text
    .replaceAll("[time]", "123")
    .replaceAll("[address]", "10.20.30.40")
    .replace(/\[id of (\S+?)\]/g, `$1:${hash}:406318295577120934118273645091827364501`);

const printed = (value) => {
  if (Array.isArray(value)) return value.flatMap(printed);
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "output" || key === "stderr" ? [inner] : printed(inner),
  );
};

// The most that an answer may cost, by what was printed.
const targets = {
  one: ["content + 60", (content) => content + 60],
  "one-failed": ["content + 60", (content) => content + 60],
  "one-silent": ["content + 60", (content) => content + 60],
  five: ["–", () => Infinity],
  forty: ["1.5 × content", (content) => 1.5 * content],
  "three-hundred": ["2,500", () => 2500],
};

let over = false;
console.log("| Answer | Content | As text | As structure | Target |\n|---|---|---|---|---|");
for (const [name, [target, most]] of Object.entries(targets)) {
  const recorded = readFileSync(`${answers}${name}.json`, "utf8");
  const hash = recorded.match(/"hash": "([0-9a-f]{12})"/)[1];
  const structure = JSON.parse(filled(recorded, hash));
  const text = count(filled(readFileSync(`${answers}${name}.txt`, "utf8"), hash).trimEnd());
  const content = count(printed(structure).join("\n"));
  const both = [text, count(JSON.stringify(structure))];
  over ||= both.some((cost) => cost > most(content));
  const [shown, structured] = both.map((cost) => (cost > most(content) ? `**${cost}**` : cost));
  console.log(`| ${name} | ${content} | ${shown} | ${structured} | ${target} |`);
}

// What a model is shown of an answer: its text, or its structure where there is one.
const shown = (result) => {
  const text = (result.content ?? []).map((part) => part.text ?? "").join("\n");
  const structure = result.structuredContent;
  return [count(text), structure ? count(JSON.stringify(structure)) : "–"].join(" / ");
};

if (recordings) {
  const servers = Object.entries(JSON.parse(readFileSync(recordings, "utf8")));
  const commands = Object.keys(servers.find(([, { answers }]) => answers)[1].answers);
  console.log(`\n| Text / structure | tools/list | ${commands.join(" | ")} |`);
  console.log(`|${"---|".repeat(commands.length + 2)}`);
  for (const [name, { tools, answers, error }] of servers) {
    const cells = error
      ? [error]
      : [count(JSON.stringify(tools)), ...commands.map((command) => shown(answers[command]))];
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
}
process.exit(over ? 1 : 0);
