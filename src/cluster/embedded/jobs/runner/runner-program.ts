import type { Container, PodSpec } from "../../../../api/builtin.ts";

/** A program of ours that a Job may run without containers. Everything else stays pending. */
export interface RunnerProgram {
  /** What a container's command and arguments begin with, for example `["conductor", "execute"]`. */
  readonly words: readonly string[];
  /** Last parts of image repositories whose entrypoint is the first word, for containers that name no command. */
  readonly images: readonly string[];
  /** What is run instead of the words: absolute path of a program and its first arguments. */
  readonly exec: readonly [string, ...string[]];
}

/** The container a Job runs and what with. */
export type ResolvedProgram =
  | { readonly container: Container; readonly argv: readonly [string, ...string[]] }
  /** Why this cluster cannot run it, in words for a person. */
  | { readonly problem: string };

/** Finds what runs the only container of a pod. */
export function resolveProgram(spec: PodSpec, programs: readonly RunnerProgram[]): ResolvedProgram {
  const [container, ...others] = spec.containers;
  if (!container) return { problem: "it has no container" };
  if (others.length > 0 || (spec.initContainers ?? []).length > 0) {
    return { problem: `${noContainers(programs)}, in Jobs of a single container` };
  }
  const command = texts(container["command"]);
  const args = texts(container["args"]);
  for (const program of programs) {
    const [entrypoint = ""] = program.words;
    const words =
      command.length > 0
        ? [...command, ...args]
        : program.images.includes(repositoryName(container.image ?? ""))
          ? [entrypoint, ...args]
          : [];
    if (!program.words.every((word, i) => commandName(words[i] ?? "", i) === word)) continue;
    return { container, argv: [...program.exec, ...words.slice(program.words.length)] };
  }
  const shown = command.length > 0 ? [...command, ...args].join(" ") : (container.image ?? "");
  return {
    problem: `${noContainers(programs)}, but container ${JSON.stringify(container.name)} is ${JSON.stringify(shown.slice(0, 200))}; run it on a Kubernetes cluster`,
  };
}

function noContainers(programs: readonly RunnerProgram[]): string {
  const words = programs.map((program) => `\`${program.words.join(" ")}\``).join(", ");
  return `this embedded cluster runs no containers${words === "" ? "" : `, only ${words}`}`;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value)
    ? (value as readonly unknown[]).filter((item): item is string => typeof item === "string")
    : [];
}

/** A program may be named by its path. */
function commandName(word: string, index: number): string {
  return index === 0 ? word.slice(word.lastIndexOf("/") + 1) : word;
}

/** `registry:5000/team/conductor-exec:v1@sha256:…` is `conductor-exec`. */
function repositoryName(image: string): string {
  const path = image.replace(/@.*$/, "");
  const last = path.slice(path.lastIndexOf("/") + 1);
  return last.replace(/:.*$/, "");
}
