/** An authenticated user. */
export type { RequestUser as User } from "../request-user.ts";
