// check.mjs - a foreign judge for the description that a node serves: check.mjs FILE. Fails, and
// says where, unless FILE is an OpenAPI 3.0 document.
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";

const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(process.argv[2], "utf8")));
if (!result.valid || validator.version !== "3.0") {
  console.error(`version ${validator.version}`, JSON.stringify(result.errors, null, 2));
  process.exit(1);
}
