import { SeamError } from "../../base/errors.ts";
import { ConfigMap, type ConfigMapObject } from "../../api/builtin.ts";
import { FIELD_MANAGERS, tenantNamespace } from "../../api/names.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { ifPresent } from "../../cluster/if-present.ts";

/** ConfigMap in the tenant namespace: highest serial ever signed per PackInstalled name. Outlives the objects. */
export const SERIAL_LEDGER = "seam-pack-serials";

/** Attempts against concurrent writers of the same ConfigMap. */
const MAX_ATTEMPTS = 5;

/**
 * Reserves the next serial of `name`: durable before it is used, so that no serial is ever signed twice for different content.
 *
 * @param atLeast a serial known to have been signed; the reserved one is higher
 */
export async function reserveSerial(cluster: Cluster, tenant: string, name: string, atLeast: number): Promise<number> {
  const key = { namespace: tenantNamespace(tenant), name: SERIAL_LEDGER };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const ledger = await read(cluster, key);
    const serial = Math.max(serialOf(ledger, name), atLeast) + 1;
    try {
      if (ledger === undefined)
        await cluster.create(
          ConfigMap,
          { apiVersion: "v1", kind: "ConfigMap", metadata: key, data: { [name]: String(serial) } },
          { fieldManager: FIELD_MANAGERS.signer },
        );
      else
        await cluster.update(
          ConfigMap,
          { ...ledger, data: { ...ledger.data, [name]: String(serial) } },
          { fieldManager: FIELD_MANAGERS.signer },
        );
      return serial;
    } catch (error) {
      if (!isStatus(error, "Conflict", "AlreadyExists")) throw error;
    }
  }
  throw new SeamError({
    reason: "SerialLedgerBusy",
    object: `ConfigMap ${key.namespace}/${key.name}`,
    expected: "one writer at a time",
    remedy: "check that only one replica signs",
  });
}

async function read(
  cluster: Cluster,
  key: { readonly namespace: string; readonly name: string },
): Promise<ConfigMapObject | undefined> {
  return ifPresent(cluster.get(ConfigMap, key));
}

function serialOf(ledger: ConfigMapObject | undefined, name: string): number {
  const text = ledger?.data?.[name];
  if (text === undefined) return 0;
  const serial = Number(text);
  if (!Number.isSafeInteger(serial) || serial < 0)
    throw new SeamError({
      reason: "SerialLedgerInvalid",
      object: `ConfigMap ${ledger?.metadata.namespace ?? ""}/${SERIAL_LEDGER}`,
      field: `data[${name}]`,
      expected: `an integer, found ${JSON.stringify(text)}`,
      remedy: "restore the ConfigMap from a backup; serials must never go back",
    });
  return serial;
}
