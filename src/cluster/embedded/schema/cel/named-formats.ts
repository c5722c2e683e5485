import { type Environment, Optional } from "@marcbachmann/cel-js";
import { labelValueProblem, nameProblem, qualifiedNameProblem } from "../../metadata/names.ts";
import { hasFormat } from "../formats.ts";

/** What `format.dns1123Label()` and its like give. */
class NamedFormat {
  readonly problem: (text: string) => string | undefined;

  constructor(problem: (text: string) => string | undefined) {
    this.problem = problem;
  }
}

/** Receiver of `format.…()`. */
class FormatLibrary {
  /** Makes the class nominal. */
  readonly library = "format";
}

function schemaFormat(name: string): (text: string) => string | undefined {
  return (text) => (hasFormat(name, text) ? undefined : `must be of format ${name}`);
}

const FORMATS: Readonly<Record<string, (text: string) => string | undefined>> = {
  dns1123Label: (text) => nameProblem("label", text),
  dns1123Subdomain: (text) => nameProblem("subdomain", text),
  dns1035Label: (text) => nameProblem("label1035", text),
  qualifiedName: qualifiedNameProblem,
  labelValue: labelValueProblem,
  uri: schemaFormat("uri"),
  uuid: schemaFormat("uuid"),
  byte: schemaFormat("byte"),
  date: schemaFormat("date"),
  datetime: schemaFormat("datetime"),
};

/** Registers the `format` library of CEL in Kubernetes: `format.<name>().validate(text)` is empty when the text is valid. */
export function registerNamedFormats(environment: Environment): void {
  environment
    .registerType("NamedFormat", { ctor: NamedFormat, fields: {} })
    .registerType("FormatLibrary", { ctor: FormatLibrary, fields: {} })
    .registerConstant("format", "FormatLibrary", new FormatLibrary())
    .registerFunction("NamedFormat.validate(string): dyn", (format: NamedFormat, text: string) => {
      const problem = format.problem(text);
      return problem === undefined ? Optional.none() : Optional.of([problem]);
    });
  for (const [name, problem] of Object.entries(FORMATS)) {
    environment.registerFunction(`FormatLibrary.${name}(): NamedFormat`, () => new NamedFormat(problem));
  }
}
