// check.mjs - a foreign judge for the emitted JSON Schema: ajv must agree with the loader's verdict
// on every fixture, as far as a schema can know. expected.list says how far that is.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv";

const [schemaFile, root] = process.argv.slice(2);
const golden = join(root, "tests/golden");
let checked = 0;
const failures = [];

// strictTypes and strictRequired object to "if" branches that only add to the properties above.
const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
const validate = ajv.compile(JSON.parse(readFileSync(schemaFile, "utf8")));

// Blanks comments outside of strings; everything else is left for JSON.parse to judge.
function withoutComments(text) {
  return text.replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[^]*?\*\//g, (piece) =>
    piece.startsWith("/") ? piece.replace(/[^\n]/g, " ") : piece);
}

function verdict(file) {
  let value;
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    value = JSON.parse(withoutComments(decoder.decode(readFileSync(file))));
  } catch {
    return "unparsable";
  }
  return validate(value) ? "accepts" : "rejects";
}

function expect(file, wanted) {
  const got = verdict(file);
  checked++;
  if (got !== wanted) {
    const why = got === "rejects" ? `: ${ajv.errorsText(validate.errors)}` : "";
    failures.push(`${file}: ajv ${got}, expected ${wanted}${why}`);
  }
}

const rows = readFileSync(join(golden, "scenarios-bad/expected.list"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split(/\s+/));
for (const [file, wanted] of rows) {
  expect(join(golden, "scenarios-bad", file), wanted);
}
for (const folder of [join(golden, "scenarios-good"), join(root, "scenarios")]) {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".jsonc"))) {
    expect(join(folder, file), "accepts");
  }
}

for (const failure of failures) {
  console.log(failure);
}
console.log(`schema: ${checked} scenarios judged, ${failures.length} disagreements`);
process.exitCode = failures.length === 0 && checked > rows.length ? 0 : 1;
