import { rmSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { SeamError } from "../../../base/errors.ts";
import { MeshLayout } from "../../../roles/mesh/layout.ts";
import type { CommandContext } from "../context.ts";
import { readSettings } from "../mesh-file.ts";

/** `seamctl process hold|release`: take one process of a local mesh down and let it come back, to see what the rest does meanwhile. */
export function processCommands(program: Command, context: CommandContext): void {
  const command = program
    .command("process")
    .description("stop and start single processes of a local mesh")
    .addHelpText("after", "\nExample:\n  seamctl process hold tenant-2");
  const each = (verb: string, description: string, act: (layout: MeshLayout, name: string) => string): void => {
    command
      .command(verb)
      .description(description)
      .argument("<name>", "management, a hub replica or a tenant")
      .option("--dir <directory>", "state directory of the mesh", ".seam")
      .addHelpText("after", `\nExample:\n  seamctl process ${verb} management`)
      .action((name: string, options: { readonly dir: string }) => {
        const { hubReplicas, tenants } = readSettings(options.dir);
        const known = ["management", ...hubReplicas, ...tenants.map((tenant) => tenant.name)];
        if (!known.includes(name)) {
          throw new SeamError({
            reason: "ProcessUnknown",
            object: `process ${name}`,
            expected: `must be one of ${known.join(", ")}`,
          });
        }
        context.output.out(act(new MeshLayout(options.dir), name));
      });
  };
  each("hold", "stop a process and keep it down until it is released", (layout, name) => {
    writeFileSync(layout.hold(name), "");
    return `${name} is held; start it again with: seamctl process release ${name}`;
  });
  each("release", "let a held process start again", (layout, name) => {
    rmSync(layout.hold(name), { force: true });
    return `${name} is released`;
  });
}
