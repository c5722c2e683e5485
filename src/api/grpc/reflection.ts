import { type DescFile, type DescService, type Registry, create, createRegistry, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { type GrpcService, implementService } from "./service-implementation.ts";
import { Status } from "./status-error.ts";

/** grpc.reflection.v1 over the descriptors of `services` and of the reflection service itself. */
export function reflectionService(services: readonly DescService[]): GrpcService {
  const all = [...services, ServerReflection];
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    for (const dependency of file.dependencies) visit(dependency);
  };
  for (const service of all) visit(service.file);
  const registry = createRegistry(...files.values());
  const names = all.map(({ typeName }) => typeName).sort();

  const fileOf = (symbol: string): DescFile | undefined =>
    fileOfType(registry.get(symbol)) ??
    // A method is named `package.Service.Method`; a field or enum value belongs to the symbol before its last dot.
    fileOfType(registry.get(symbol.slice(0, Math.max(0, symbol.lastIndexOf(".")))));

  const described = (file: DescFile | undefined, what: string): Response => {
    if (file === undefined) return notFound(`${what} is not known here`);
    const closure: Uint8Array[] = [];
    const seen = new Set<string>();
    const add = (each: DescFile): void => {
      if (seen.has(each.proto.name)) return;
      seen.add(each.proto.name);
      closure.push(toBinary(FileDescriptorProtoSchema, each.proto));
      for (const dependency of each.dependencies) add(dependency);
    };
    add(file);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: closure } };
  };

  const respond = ({ messageRequest: request }: ServerReflectionRequest): Response => {
    switch (request.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } };
      case "fileByFilename":
        return described(files.get(request.value), `file ${request.value}`);
      case "fileContainingSymbol":
        return described(fileOf(request.value), `symbol ${request.value}`);
      case "allExtensionNumbersOfType":
        return registry.getMessage(request.value) === undefined
          ? notFound(`type ${request.value} is not known here`)
          : { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber: [] } };
      case "fileContainingExtension":
        return notFound("no extensions are served here");
      case undefined:
        return {
          case: "errorResponse",
          value: { errorCode: Status.INVALID_ARGUMENT, errorMessage: "unknown request" },
        };
    }
  };

  return implementService(ServerReflection, {
    serverReflectionInfo(call) {
      call.on("data", (request: ServerReflectionRequest) => {
        const response = create(ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: request,
          messageResponse: respond(request),
        });
        if (!call.write(response)) {
          call.pause();
          call.once("drain", () => call.resume());
        }
      });
      call.on("end", () => call.end());
      call.on("error", () => call.end());
    },
  });
}

type Response =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

function fileOfType(type: ReturnType<Registry["get"]>): DescFile | undefined {
  return type?.file;
}

function notFound(errorMessage: string): Response {
  return { case: "errorResponse", value: { errorCode: Status.NOT_FOUND, errorMessage } };
}
