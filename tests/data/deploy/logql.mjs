// Reads LogQL expressions, one a line, by Grafana's own grammar. Says which it does not take.
//   node logql.mjs DIRECTORY-WITH-NODE_MODULES <EXPRESSIONS
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { parser } = createRequire(join(process.argv[2], "package.json"))("@grafana/lezer-logql");
let faults = 0;
for (const expression of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  parser.parse(expression).iterate({
    enter(node) {
      if (node.type.isError) {
        console.log(`at ${node.from}: ${expression}`);
        faults += 1;
      }
    },
  });
}
process.exit(faults === 0 ? 0 : 1);
