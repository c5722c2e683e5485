import {
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  create,
  fromBinary,
  isMessage,
} from "@bufbuild/protobuf";
import type { Reply } from "../../api/grpc/service-implementation.ts";

/** What a handler answered, as a message: handlers may also answer with an initialiser or with encoded bytes. */
export function replyMessage<O extends DescMessage>(schema: O, reply: Reply<O>): MessageShape<O> {
  if (reply instanceof Uint8Array) return fromBinary(schema, reply);
  if (isMessage(reply, schema)) return reply;
  return create(schema, reply as MessageInitShape<O>);
}
