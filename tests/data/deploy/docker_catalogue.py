"""Judges a server.yaml as Docker's MCP catalogue does: docker_catalogue.py FILE

The demands are those of github.com/docker/mcp-registry at 818bf169, as far as they can be
asked without a network: the fields and their types (pkg/servers/types.go), what its program
checks (cmd/validate/main.go), and without what no tile is made (pkg/catalog/tile.go). That a
licence is accepted, an icon loads and the image builds is asked over the network, there.
Its program passes over fields that it does not know; here they are a slip. What the gateway
(github.com/docker/mcp-gateway, pkg/eval) would fill in as nothing is one, too.
"""

import re
import sys

import yaml

ANYTHING = object()
SCHEMA = {
    "type": str,
    "description": str,
    "required": [str],
    "items": {"type": str},
    "anyOf": [{"required": [str]}],
    "default": ANYTHING,
}
SCHEMA["properties"] = {"*": SCHEMA}
SERVER = {
    "name": str,
    "image": str,
    "type": str,
    "dynamic": {"tools": bool},
    "longLived": bool,
    "meta": {"category": str, "tags": [str]},
    "about": {"title": str, "description": str, "icon": str},
    "source": dict.fromkeys(
        ("project", "upstream", "branch", "commit", "directory", "dockerfile", "buildTarget"), str
    ),
    "remote": {"transport_type": str, "url": str, "headers": {"*": str}},
    "run": {
        "command": [str],
        "volumes": [str],
        "user": str,
        "env": {"*": str},
        "allowHosts": [str],
        "disableNetwork": bool,
    },
    "config": {
        "description": str,
        "secrets": [
            {"name": str, "env": str, "example": str, "description": str, "required": bool}
        ],
        "env": [{"name": str, "example": ANYTHING, "value": str}],
        "parameters": SCHEMA,
        "anyOf": [{"required": [str]}],
    },
    "oauth": [{"provider": str, "secret": str, "env": str}],
    "tools": ANYTHING,
    "requirement": str,
}

faults = []


def typed(value, kind, at):
    if kind is ANYTHING:
        return
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            faults.append(f"{at} is no mapping")
            return
        for key, inner in value.items():
            expected = kind.get(key, kind.get("*"))
            if expected is None:
                faults.append(f"{at}.{key} is no field")
            else:
                typed(inner, expected, f"{at}.{key}")
    elif isinstance(kind, list):
        if not isinstance(value, list):
            faults.append(f"{at} is no list")
            return
        for number, inner in enumerate(value):
            typed(inner, kind[0], f"{at}[{number}]")
    elif type(value) is not kind:
        faults.append(f"{at} is no {kind.__name__}")


def strings(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def demand(holds, fault):
    if not holds:
        faults.append(fault)


def judge(server):
    part = lambda name: server.get(name) or {}
    name, about, config = server.get("name", ""), part("about"), part("config")
    demand(re.fullmatch(r"[a-z0-9-]+", name), "name has other than a-z, 0-9 and -")
    title = about.get("title", "")
    demand(title, "about.title is missing")
    for word in ("MCP", "Server"):
        demand(word not in title, f"about.title has {word}")
    for word in title.split():
        small = word not in ("and", "for") and word[0] != word[0].upper()
        demand(not small, f"about.title: {word} begins with a small letter")
    if server.get("type") == "server":
        demand(server.get("image"), "image is missing")
        source = part("source")
        demand(source.get("project"), "source.project is missing")
        commit = source.get("commit", "")
        demand(re.fullmatch("[0-9a-f]{40}", commit), "source.commit is no SHA-1")
    else:
        demand(server.get("type") in ("remote", "poci"), "type is none of server, remote, poci")
    if part("oauth"):
        demand(part("dynamic").get("tools"), "oauth without dynamic.tools")
    for secret in config.get("secrets", []):
        well = re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9._-]+", secret["name"])
        demand(well, f"config.secrets: {secret['name']} is no prefix.name")
    parameters = config.get("parameters", {}).get("properties", {})
    if parameters:
        demand(config.get("description"), "config.description is missing")
    for parameter, schema in parameters.items():
        demand(schema.get("type"), f"config.parameters: {parameter} has no type")
    for parameter in config.get("parameters", {}).get("required", []):
        demand(parameter in parameters, f"config.parameters: {parameter} is required, not there")
    for text in strings([server.get("run"), config.get("env")]):
        for expression in re.findall(r"\{\{(.*?)\}\}", text):
            path, _, functions = expression.partition("|")
            prefix, parameter, *_ = (path.strip() + ".").split(".")
            known = prefix == name and parameter in parameters
            demand(known, f"{text}: {path} is no parameter")
            # A list between other words becomes its brackets and all.
            whole = text == "{{" + expression + "}}"
            demand(whole or "into" not in functions.split("|"), f"{text}: a list inside a word")


with open(sys.argv[1], encoding="utf-8") as file:
    entry = yaml.safe_load(file)
typed(entry, SERVER, "server")
if not faults:
    judge(entry)
for fault in faults:
    print(fault)
sys.exit(1 if faults else 0)
