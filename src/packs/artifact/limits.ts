/** Limits of an artifact (dispatcher §7.2). */

/** Largest OCI manifest or index, bytes. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Largest compressed layer, bytes. */
export const MAX_LAYER_BYTES = 64 * 1024 * 1024;
/** All layers unpacked, bytes. */
export const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;
/** Most documents of one artifact. */
export const MAX_DOCUMENTS = 5000;
