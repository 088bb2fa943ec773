// check.mjs - a foreign judge for the emitted JSON Schema: ajv must agree with the loader's verdict
// on every fixture, as far as a schema can know. expected.list says how far that is. Prints TAP.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import Ajv from "ajv";

const [schemaFile, root] = process.argv.slice(2);
const golden = join(root, "tests/golden");
let checked = 0;
let failures = 0;

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
  const name = relative(root, file);
  checked++;
  if (got === wanted) {
    console.log(`ok - schema ${wanted} ${name}`);
    return;
  }
  failures++;
  console.log(`not ok - schema: ${name}: ajv ${got}, expected ${wanted}`);
  if (got === "rejects") {
    console.log(`#   ${ajv.errorsText(validate.errors)}`);
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

process.exitCode = failures === 0 && checked > rows.length ? 0 : 1;
