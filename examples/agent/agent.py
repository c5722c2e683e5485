"""A federation agent in another language, built from proto/ and docs/protocol.md alone: connects over mutual TLS, verifies the signed index,
fetches and checks its bodies, keeps all in a folder, reports it, and goes on from there after a restart. It applies nothing.
  pip install -r requirements.txt && python agent.py --hub localhost:9443 --cluster tenant-1 --tls DIR --key KEY.pem --state DIR [--once]
--tls: tls.crt, tls.key, ca.crt. --key: public signing key, SPKI PEM. --once: ends when the hub has acknowledged every report."""
import argparse, datetime, hashlib, itertools, json, os, pathlib, queue, random, sys, tempfile, time, uuid
import grpc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
INDEX_TYPE = b"application/vnd.ontai.federation-index.v1+json"
UNNUMBERED = ("heart_beat", "goodbye", "protocol_error", "acknowledge")
ACCEPTED, NEED_FULL, REFUSED, UNTRUSTED, UNSUPPORTED, RECEIVED = 1, 2, 3, 2, 5, 1  # outcomes of an index, classes of a nack, a level

class Refused(Exception): pass  # reason, detail, retryable
def digest(data): return "sha256:" + hashlib.sha256(data).hexdigest()
def seconds(text): return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

sys.path.insert(0, tempfile.mkdtemp())
files = [str(path) for path in PROTO.glob("conductor/federation/v1alpha1/*.proto")]
assert protoc.main(["protoc", f"-I{PROTO}", f"--python_out={sys.path[0]}", *files]) == 0, "proto/ cannot be compiled"
from conductor.federation.v1alpha1.federation_pb2 import Envelope

def canonical(value):  # RFC 8785; enough for an index: ASCII member names, integers below 2^53
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

# Judges an index in the order of docs/protocol.md, "Verification": nothing is parsed before a trusted key vouched for it.
def verify(body, signatures, keys, cluster, held):
    if len(body) > 8 << 20: raise Refused("TOO_LARGE", "an index has at most 8 MiB")
    if not signatures: raise Refused("UNSIGNED", "the index has no signature")
    known = next((s for s in signatures if s.key_id in keys), None)
    if known is None: raise Refused("UNKNOWN_KEY", "no signature is by a trusted key", True)
    try:
        keys[known.key_id].verify(known.signature, b"DSSEv1 %d %s %d %s" % (len(INDEX_TYPE), INDEX_TYPE, len(body), body))
    except InvalidSignature:
        raise Refused("SIGNATURE_INVALID", "the signature does not verify") from None
    index = json.loads(body)
    if canonical(index) != body: raise Refused("MALFORMED", "the index is not canonical JSON")
    if index["keyId"] not in [s.key_id for s in signatures]: raise Refused("MALFORMED", "keyId is not among the signatures")
    if index["cluster"] != cluster: raise Refused("WRONG_CLUSTER", f"the index is for {index['cluster']}")
    now, before = [(one["epoch"], one["sequence"]) if one else (0, 0) for one in (index, held)]
    if now < before: raise Refused("ROLLBACK_REJECTED", f"{now} comes after {before}")
    if now == before and body != canonical(held): raise Refused("EQUIVOCATION", f"two indexes claim {now}")
    if now == before: return index
    if seconds(index["issuedAt"]) > time.time() + 300: raise Refused("CLOCK_SKEW", f"issued {index['issuedAt']}", True)
    if seconds(index["expiresAt"]) <= time.time(): raise Refused("EXPIRED", f"expired {index['expiresAt']}", True)
    items = {(item["kind"], item["name"]): item for item in index["items"]}
    for old in held["items"] if held else []:
        new = items.get((old["kind"], old["name"]))
        if new is None and not old.get("deleted"): raise Refused("DROPPED_WITHOUT_TOMBSTONE", f"{old['name']} left the index")
        if new and held["epoch"] == index["epoch"] and new["version"] <= old["version"] and new != old:
            raise Refused("ITEM_ROLLBACK", f"{old['name']} goes back, or changes under its version")
    floors = {(new["target"], new["name"]): new["floor"] for new in index["revocations"]}
    for old in held["revocations"] if held else []:
        if floors.get((old["target"], old["name"]), old["floor"]) < old["floor"]: raise Refused("ITEM_ROLLBACK", "a floor goes down")
    return index

class Agent:
    def __init__(self, args):
        self.args, self.instance, self.state = args, uuid.uuid4().hex, pathlib.Path(args.state)
        self.state.mkdir(parents=True, exist_ok=True)
        key = serialization.load_pem_public_key(pathlib.Path(args.key).read_bytes())
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.keys = {hashlib.sha256(der).hexdigest(): key}
        self.held, self.term = json.loads(self.load("index.json") or "null"), int(self.load("term") or 0)

    def load(self, name): return (self.state / name).read_bytes() if (self.state / name).exists() else None
    def position(self): return {k: self.held[k] for k in ("epoch", "sequence")} | {"digest": digest(canonical(self.held))}

    def store(self, name, data):  # durable when it returns: nothing is acknowledged or reported before that
        (self.state / "part").write_bytes(data), os.sync()
        os.replace(self.state / "part", self.state / name), os.sync()

    def run(self):
        ca, key, crt = ((pathlib.Path(self.args.tls) / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))
        with grpc.secure_channel(self.args.hub, grpc.ssl_channel_credentials(ca, key, crt)) as channel:
            stream = channel.stream_stream("/conductor.federation.v1alpha1.FederationService/Stream",
                                           Envelope.SerializeToString, Envelope.FromString)
            self.out, self.session, self.seq, self.ack, self.acked, self.body, self.wanted = queue.Queue(), "", 0, 0, 0, b"", []
            self.send(hello={"protocol_versions": [1], "agent_version": "example", "cluster_id": self.args.cluster,
                             "instance_id": self.instance, "highest_term": self.term, "trusted_key_ids": list(self.keys)}
                            | ({"held_index": self.position()} if self.held else {}))
            for frame in stream(iter(self.out.get, None)):
                if self.receive(frame): return self.out.put(None)

    def send(self, **payload):
        numbered = next(iter(payload)) not in UNNUMBERED
        self.seq, self.acked = self.seq + numbered, self.ack
        self.out.put(Envelope(session_id=self.session, seq=self.seq if numbered else 0, ack=self.ack, **payload))

    def receive(self, frame):  # True when nothing is left to do
        name = frame.WhichOneof("payload")
        value = getattr(frame, name) if name else None
        if name in ("goodbye", "protocol_error"): raise ConnectionError(f"hub: {value.message}")
        if frame.term < self.term: raise ConnectionError(f"a frame of term {frame.term} after {self.term}")
        if frame.term > self.term: self.store("term", b"%d" % frame.term)
        self.term, self.ack = frame.term, max(self.ack, frame.seq)  # each frame is dealt with, durably, before the next is read
        if name == "welcome": self.session = value.session_id
        elif name == "heart_beat" and not value.is_ack: self.send(heart_beat={"is_ack": True, "nonce": value.nonce})
        elif name == "index_offer": self.offered(value)
        elif name == "blob_chunk": self.chunk(value)
        elif name == "blob_unavailable": raise ConnectionError(f"hub: {value.nack.detail}")  # asked again after the backoff
        elif frame.seq: self.send(frame_nack={"seq": frame.seq, "nack": {"class": UNSUPPORTED, "reason": "UNKNOWN_PAYLOAD"}})
        if self.acked < self.ack: self.send(acknowledge={})
        return self.args.once and self.held and not self.wanted and frame.ack == self.seq

    def offered(self, offer):
        form, body = offer.WhichOneof("form"), offer.full.body
        if form == "unchanged" and self.held and offer.unchanged.digest == self.position()["digest"]: return self.accepted()
        if form != "full": return self.send(index_report={"outcome": NEED_FULL})  # this agent keeps to the simplest form
        try:
            index = verify(body, offer.full.signatures, self.keys, self.args.cluster, self.held)
        except Refused as refused:
            nack = dict(zip(("reason", "detail", "retryable"), refused.args)) | {"class": UNTRUSTED}
            return self.send(index_report={"digest": digest(body), "outcome": REFUSED, "nack": nack})
        for blob in offer.blobs:
            if digest(blob.data) == blob.digest: self.store(blob.digest[7:], blob.data)
        self.store("index.json", body)
        self.held = index
        self.accepted()

    def accepted(self):
        self.send(index_report=self.position() | {"outcome": ACCEPTED})
        self.wanted = [item for item in self.held["items"] if item["digest"]]
        self.next()

    def next(self):  # reports items whose body is here, and asks for the first that is not
        while self.wanted and self.load(self.wanted[0]["digest"][7:]) is not None:
            item = {name: self.wanted[0][name] for name in ("kind", "name", "version", "digest")}
            self.send(item_report=item | {"level": RECEIVED, "at_unix_ms": int(time.time() * 1000)})
            print(f"received {item['kind']}/{item['name']} version {item['version']}", flush=True)
            self.wanted.pop(0)
        if self.wanted and not self.body: self.send(blob_fetch={"digest": self.wanted[0]["digest"]})

    def chunk(self, chunk):
        self.body = self.body + chunk.data if chunk.offset == len(self.body) else b""
        if len(self.body) < chunk.total: return
        if digest(self.body) == chunk.digest: self.store(chunk.digest[7:], self.body)
        self.body = b""
        self.next()

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("hub", "cluster", "tls", "key", "state"): parser.add_argument("--" + name, required=True)
parser.add_argument("--once", action="store_true")
agent = Agent(parser.parse_args())
for attempt in itertools.count():
    try: sys.exit(agent.run())
    except (grpc.RpcError, ConnectionError) as error: print("stream ended:", error, file=sys.stderr, flush=True)
    time.sleep(random.uniform(0, min(30, 0.5 * 2 ** min(attempt, 6))))
