import { systemClock } from "../../../src/base/clock.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { factOutbox } from "../../../src/federation/outbox/fact-outbox.ts";
import { openOutbox } from "../../../src/federation/outbox/outbox.ts";

// Child of the crash test: appends events and reports for ever and prints each number once it is durable, until it is killed.
const directory = process.argv[2];
if (directory === undefined) throw new Error("usage: outbox-crash-child.ts DIRECTORY");
const outbox = await openOutbox({ directory, clock: systemClock, random: systemRandom });
const facts = factOutbox({
  cluster: "tenant-1",
  outbox,
  clock: systemClock,
  random: systemRandom,
  listener: {
    auditAppended: ({ last }) => process.stdout.write(`audit ${last}\n`),
    factPending: ({ reportVersion }) => process.stdout.write(`fact ${reportVersion}\n`),
  },
});
for (;;) {
  await Promise.all([
    ...Array.from({ length: 8 }, (_, i) => facts.audit({ action: "authz.decision", decision: "deny", i })),
    facts.capability({
      agentVersion: "test",
      agentLeader: "",
      capabilities: [],
      talosVersionsObserved: [],
      kubernetesVersionsObserved: [],
      simulatedNodes: false,
    }),
  ]);
}
