import { connect, createServer } from "node:net";
import { type Answer, type Command, serve } from "./protocol.ts";

/** Passes bytes between agents and a server. Stopped by a signal it is a path that takes everything in and lets nothing out. */
serve(async (command: Command): Promise<Answer> => {
  if (command.type !== "relay") throw new Error("this child relays");
  const server = createServer((near) => {
    const far = connect(command.port, "127.0.0.1");
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  return { port };
});
