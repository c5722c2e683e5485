import { Argument, type Command } from "commander";
import type { CommandContext } from "../context.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

interface Word {
  /** Path of commands before it, `""` at the top. */
  readonly path: string;
  readonly words: readonly string[];
}

/** Every command path with what may follow it. */
function wordsOf(command: Command, path: readonly string[] = []): readonly Word[] {
  const flags = command.options
    .flatMap((option) => [option.long, option.short])
    .filter((flag) => flag !== undefined && flag !== null);
  const names = command.commands.map((child) => child.name());
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  const own: Word = { path: path.join(" "), words: [...names, ...choices, ...flags, "--help"] };
  return [own, ...command.commands.flatMap((child) => wordsOf(child, [...path, child.name()]))];
}

function bash(words: readonly Word[]): string {
  const cases = words.map((word) => `    "${word.path}") words="${word.words.join(" ")}" ;;`).join("\n");
  return `# bash completion for seamctl; load with: source <(seamctl completion bash)
_seamctl() {
  local path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  while :; do
    case "$path" in
${cases}
    esac
    [ -n "$words" ] || [ -z "$path" ] && break
    case "$path" in *" "*) path="\${path% *}" ;; *) path="" ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _seamctl seamctl
`;
}

function zsh(words: readonly Word[]): string {
  return `#compdef seamctl
autoload -U +X bashcompinit && bashcompinit
${bash(words)}`;
}

function fish(words: readonly Word[]): string {
  const lines = words.flatMap((word) => {
    const parts = word.path.split(" ").filter((part) => part !== "");
    const condition =
      parts.length === 0
        ? "__fish_use_subcommand"
        : parts.map((part) => `__fish_seen_subcommand_from ${part}`).join("; and ");
    return word.words.map((text) =>
      text.startsWith("--")
        ? `complete -c seamctl -n '${condition}' -l ${text.slice(2)}`
        : text.startsWith("-")
          ? `complete -c seamctl -n '${condition}' -s ${text.slice(1)}`
          : `complete -c seamctl -n '${condition}' -a ${text}`,
    );
  });
  return `# fish completion for seamctl; load with: seamctl completion fish | source\n${lines.join("\n")}\n`;
}

/** `seamctl completion`. */
export function completionCommand(program: Command, context: CommandContext): void {
  program
    .command("completion")
    .description("print a completion script")
    .addArgument(new Argument("<shell>", "the shell that will read it").choices(SHELLS))
    .addHelpText("after", "\nExample:\n  source <(seamctl completion bash)")
    .action((shell: Shell) => {
      const words = wordsOf(program);
      switch (shell) {
        case "bash":
          context.output.out(bash(words));
          return;
        case "zsh":
          context.output.out(zsh(words));
          return;
        case "fish":
          context.output.out(fish(words));
          return;
      }
    });
}
