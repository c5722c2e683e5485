import { GrpcStatusError } from "../../src/api/grpc/status-error.ts";

/** The status that a call ends with. @throws Error when it is answered, and whatever else it ends with */
export async function grpcFailure(call: Promise<unknown>): Promise<GrpcStatusError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof GrpcStatusError) return error;
    throw error;
  }
  throw new Error("the call was answered");
}
