import { parentPort } from "node:worker_threads";
import { RevisionDatabase } from "./database.ts";
import type { StoreReply, StoreRequest } from "./revision.ts";
import { explainFailure } from "./store-failure.ts";

/** Entry of the store's worker thread: one database, requests in order, one reply each (loading sends its rows before). */
function serve(port: NonNullable<typeof parentPort>): void {
  let database: RevisionDatabase | undefined;
  let directory = "";
  const reply = (message: StoreReply): void => port.postMessage(message);

  const backup = async (file: string): Promise<void> => {
    try {
      await database?.backup(file);
      reply({ type: "backedUp" });
    } catch (error) {
      reply({ type: "backedUp", failure: explainFailure(error, directory) });
    }
  };

  const handle = (request: Exclude<StoreRequest, { readonly type: "backup" }>): StoreReply => {
    switch (request.type) {
      case "open":
        directory = request.directory;
        database = new RevisionDatabase(directory, request.maxBytes);
        for (const revisions of database.load()) reply({ type: "rows", revisions });
        return { type: "opened", ...database.positions() };
      case "commit":
        database?.commit(request.revisions, request.compaction);
        return { type: "committed" };
      case "close":
        database?.close();
        database = undefined;
        return { type: "closed" };
    }
  };

  port.on("message", (request: StoreRequest) => {
    if (request.type === "backup") {
      void backup(request.file);
      return;
    }
    try {
      reply(handle(request));
    } catch (error) {
      reply({ type: "failed", failure: explainFailure(error, directory) });
    }
  });
}

if (parentPort) serve(parentPort);
