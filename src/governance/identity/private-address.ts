import { BlockList, isIP } from "node:net";

const IPV4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
];
const IPV6: readonly (readonly [string, number])[] = [
  ["::", 127],
  ["64:ff9b::", 96],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
];

function blockList(): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of IPV4) list.addSubnet(network, prefix, "ipv4");
  for (const [network, prefix] of IPV6) list.addSubnet(network, prefix, "ipv6");
  return list;
}

/** True for an IP address that is not of the public internet: loopback, private, link-local, shared, multicast, translated. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && blockList().check(address, family === 4 ? "ipv4" : "ipv6");
}
