#!/usr/bin/env python3
"""Writes src/kube/schema/types.txt from the Go sources of one Kubernetes release.

    scripts/kube-types.py KUBERNETES_SOURCE > src/kube/schema/types.txt

Run by hand when the release that Holdfast states (docs/kubernetes.md) changes. It takes facts only: the names,
numbers, types and merge rules of fields, as the struct tags and markers of `types.go` state them. The format is
described in src/kube/schema/parse.rs.
"""
import pathlib
import re
import sys

GROUPS = """admissionregistration apps authentication authorization autoscaling batch certificates
coordination core discovery events flowcontrol networking node policy rbac resource scheduling storage""".split()

# Go types that are leaves of an object: they have a form of their own in JSON, in protobuf, or in both.
LEAVES = {
    "string": "string", "bool": "bool", "int32": "int32", "int64": "int64", "int": "int64", "float64": "double",
    "[]byte": "bytes", "resource.Quantity": "quantity", "intstr.IntOrString": "intorstring",
    "metav1.Time": "time", "metav1.MicroTime": "microtime", "metav1.Duration": "duration",
    "runtime.RawExtension": "raw", "types.UID": "string", "meta/v1.FieldsV1": "fieldsv1",
    "meta/v1.Time": "time", "meta/v1.MicroTime": "microtime", "meta/v1.Duration": "duration",
    "types.NodeName": "string", "runtime.Object": "raw",
    "apiextensions/v1.JSON": "json", "apiextensions/v1.JSONSchemaPropsOrBool": "schemaorbool",
    "apiextensions/v1.JSONSchemaPropsOrArray": "schemaorarray",
    "apiextensions/v1.JSONSchemaPropsOrStringArray": "schemaorstrings",
}
# Served in forms of their own (kube::table) and never stored.
LEFT_OUT = {"Table", "TableRow"}
IMPORTS = {"metav1": "meta/v1", "v1": "core/v1", "corev1": "core/v1", "apiv1": "core/v1", "rbacv1": "rbac/v1",
           "authenticationv1": "authentication/v1", "apiextensionsv1": "apiextensions/v1"}


def sources(root):
    api = root / "staging/src/k8s.io" if (root / "staging").is_dir() else root
    yield "meta/v1", api / "apimachinery/pkg/apis/meta/v1"
    for group in GROUPS:
        for version in ("v1", "v2"):
            path = api / "api" / group / version
            if path.is_dir():
                yield f"{group}/{version}", path
    yield "apiextensions/v1", api / "apiextensions-apiserver/pkg/apis/apiextensions/v1"
    yield "apiregistration/v1", api / "kube-aggregator/pkg/apis/apiregistration/v1"


class Package:
    def __init__(self, name, path):
        self.name, self.structs, self.aliases, self.enums, self.consts = name, {}, {}, {}, {}
        for file in sorted(path.glob("types*.go")):
            if not re.search(r"swagger|_test|generated", file.name):
                self.read(file.read_text())

    def read(self, text):
        comments, struct, fields, enum = [], None, [], None
        named = re.findall(r'^\s*(?:const\s+)?(\w+)\s+(\w+)\s*=\s*"([^"]*)"', text, re.M)
        # The same, converted from a literal or from a constant of core.
        named += re.findall(r'^\s*(?:const\s+)?(\w+)\s*=\s*(\w+)\("([^"]*)"\)', text, re.M)
        named += re.findall(r'^\s*(?:const\s+)?(\w+)\s*=\s*(\w+)\(v1(\.\w+)\)', text, re.M)
        consts = [(kind, value) for _, kind, value in named]
        self.consts.update((name, f'"{value}"') for name, _, value in named)
        for line in text.splitlines():
            stripped = line.strip()
            if stripped.startswith("//"):
                comments.append(stripped[2:].strip())
                continue
            if struct is None:
                if match := re.match(r"type (\w+) struct ?\{(\})?", line):
                    markers = [c for c in comments if c.startswith("+")]
                    if match[2]:
                        self.structs[match[1]] = ([], markers)
                    else:
                        struct, fields, struct_markers = match[1], [], markers
                elif match := re.match(r"type (\w+) (?!struct|interface|func)(=?\s*\S+)", line):
                    self.aliases[match[1]] = match[2].lstrip("= ")
                    if "+enum" in comments:
                        self.enums[match[1]] = [value for kind, value in consts if kind == match[1]]
            elif stripped == "}":
                self.structs[struct] = (fields, struct_markers)
                struct = None
            elif match := re.match(r"(?:(\w+)\s+)?(\S+)\s+`(.*)`", stripped):
                fields.append((match[1], match[2], match[3], [c for c in comments if c.startswith("+")]))
            if stripped == "" and struct is None and comments and line == "":
                # A comment that stands apart belongs to nothing, but for generators' markers above it.
                comments = [c for c in comments if c.startswith("+")]
                continue
            comments = []


class Tables:
    def __init__(self, root):
        self.packages = {name: Package(name, path) for name, path in sources(root)}

    def qualify(self, package, go):
        """The type that a name means in a package, with what aliases stand for put in; and its enum."""
        if go in LEAVES:
            return LEAVES[go], None
        for opening, shape in (("*", "*"), ("[]", "[]")):
            if go.startswith(opening):
                inner, enum = self.qualify(package, go[len(opening):])
                return shape + inner, enum
        if match := re.match(r"map\[[\w.]+\](.*)", go):
            inner, enum = self.qualify(package, match[1])
            return "map " + inner, enum
        if "." in go:
            prefix, name = go.split(".")
            package = IMPORTS[prefix]
        else:
            name = go
        full = f"{package}.{name}"
        if full in LEAVES:
            return LEAVES[full], None
        here = self.packages[package]
        if name in here.structs:
            return "@" + full, None
        alias = here.aliases[name]
        enum = here.enums.get(name)
        if alias.startswith("[]") and package != "meta/v1" or name == "Verbs":
            # A named slice that is an element of a map or a list is a message of its own on the wire.
            return "items " + self.qualify(package, alias[2:])[0], enum
        shape, inner = self.qualify(package, alias)
        return shape, enum or inner

    def printed(self, package, go, resolved):
        """A type as Go's reflection prints it, with its own name or, resolved, with what the name stands for."""
        if go in ("string", "bool", "int32", "int64", "int", "float64"):
            return go
        if go == "[]byte":
            return "[]uint8"
        if go.startswith("[]"):
            return "[]" + self.printed(package, go[2:], resolved)
        if match := re.match(r"map\[([\w.]+)\](.*)", go):
            key = "string" if resolved else self.printed(package, match[1], False)
            return f"map[{key}]{self.printed(package, match[2], resolved)}"
        if go.startswith("types.") and resolved:
            return "string"
        prefix, _, name = go.rpartition(".")
        if prefix and prefix not in IMPORTS:
            return go
        package = IMPORTS.get(prefix, package)
        alias = self.packages[package].aliases.get(name)
        if resolved and alias and f"{package}.{name}" not in LEAVES:
            return self.printed(package, alias, True)
        return f"{package.split('/')[1]}.{name}"

    def field(self, package, name, go, tags, markers):
        json = re.search(r'json:"([^"]*)"', tags)
        if not json or json[1].split(",")[0] == "-":
            return None
        json_name, *options = json[1].split(",")
        number = re.search(r'protobuf:"\w+,(\d+)', tags)
        if go == "metav1.TypeMeta" or (package == "meta/v1" and go == "TypeMeta"):
            return ["kind - string omitempty", "apiVersion - string omitempty"]
        shape, enum = self.qualify(package, go)
        if shape.startswith("items ") and "rep," in tags:
            # Only as an element, or where it is not repeated, is a named slice a message of its own.
            shape = "[]" + shape[len("items "):]
        words = [json_name or ".", number[1] if number else "-", shape.replace(" ", ":")]
        words += [option for option in options if option in ("omitempty", "omitzero", "inline")]
        marks = dict(mark[1:].split("=", 1) if "=" in mark else (mark[1:], "") for mark in markers)
        keys = [mark.split("=", 1)[1] for mark in markers if mark.startswith("+listMapKey=")]
        if "listType" in marks:
            words.append("list=" + marks["listType"] + (":" + ",".join(keys) if keys else ""))
        if "mapType" in marks or "structType" in marks:
            words.append("map=" + marks.get("mapType", marks.get("structType", "")))
        if strategy := re.search(r'patchStrategy:"([^"]*)"', tags):
            key = re.search(r'patchMergeKey:"([^"]*)"', tags)
            words.append("patch=" + strategy[1] + (":" + key[1] if key else ""))
        if "default" in marks and marks["default"] and " " not in marks["default"]:
            reference = re.fullmatch(r"ref\((\w+)\)", marks["default"])
            default = self.packages[package].consts[reference[1]] if reference else marks["default"]
            words.append("default=" + default)
        own, plain = (self.printed(package, go.lstrip("*"), resolved) for resolved in (False, True))
        if own != plain:
            words.append("go=" + own)
        if enum:
            core = self.packages["core/v1"].consts
            enum = [core[value[1:]].strip('"') if value.startswith(".") else value for value in enum]
            words.append("enum=" + "|".join(enum).replace(" ", "%20"))
        optional = "optional" in marks or "k8s:optional" in marks
        if "required" in marks or not (optional or "omitempty" in options or "omitzero" in options):
            words.append("required")
        return [" ".join(words)]

    def write(self, out):
        for package in self.packages.values():
            for name, (fields, markers) in package.structs.items():
                if f"{package.name}.{name}" in LEAVES or name in LEFT_OUT | {"TypeMeta"}:
                    continue
                try:
                    lines = [self.field(package.name, *field) for field in fields]
                except KeyError as unknown:
                    print(f"left out {package.name}.{name}: {unknown}", file=sys.stderr)
                    continue
                atomic = " atomic" if any(m in ("+structType=atomic", "+mapType=atomic") for m in markers) else ""
                out.write(f"type {package.name}.{name}{atomic}\n")
                for line in lines:
                    for part in line or []:
                        out.write(f" {part}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Tables(pathlib.Path(sys.argv[1])).write(sys.stdout)
