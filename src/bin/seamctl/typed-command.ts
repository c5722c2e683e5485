/** Directory that commands look at without `--dir`. */
const DEFAULT_DIRECTORY = ".seam";

/** A seamctl command as it must be typed for the mesh of that directory. */
export function typed(command: string, directory: string): string {
  return `npx seamctl ${command}${directory === DEFAULT_DIRECTORY ? "" : ` --dir ${directory}`}`;
}
