import type { PrinterColumn } from "../../api/builtin.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Cluster } from "../cluster.ts";

/** What the REST API shows of one resource beyond discovery. */
export interface ResourceDetails {
  /** `additionalPrinterColumns` of a CRD version; empty for built-in kinds, whose columns belong to the REST API. */
  readonly printerColumns: readonly PrinterColumn[];
  /** OpenAPI v3 schema of the whole object. */
  readonly openApiSchema: JsonObject;
  /** Where a scale subresource reads and writes. */
  readonly scale: ScalePaths | undefined;
}

/** JSON paths of a scale subresource, one member name per element. */
export interface ScalePaths {
  readonly specReplicas: readonly string[];
  readonly statusReplicas: readonly string[];
  readonly labelSelector: readonly string[] | undefined;
}

/** What {@link serveCluster} needs of a cluster: everything a client can do, and how to show it. */
export interface ServedCluster extends Cluster {
  /** Details of a resource that discovery lists. @throws ApiStatusError 404 when it is not served */
  resourceDetails(group: string, version: string, resource: string): ResourceDetails;
  /** Version of the latest write, for collections that are empty or made up. */
  currentResourceVersion(): string;
  /** Folder of the cluster's state: where a backup is made before it is sent. */
  readonly directory: string;
  /** Copies the whole state into a new file, consistent at one version, while writes go on. @throws SeamError */
  backup(file: string): Promise<void>;
  /** Why the last write was not stored; undefined when it was. Reads go on meanwhile. */
  storageFailure(): string | undefined;
  /** How many objects of each resource are stored. */
  objectCounts(): Iterable<{ readonly group: string; readonly resource: string; readonly count: number }>;
}
