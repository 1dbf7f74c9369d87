"""Packets made by scapy, for wire-scapy.test.ts: one JSON object a line, with the frame in hex and what it says.

    /usr/bin/python3 wire-packets.py make SEED    frames, and their fields by the names of src/wire
    /usr/bin/python3 wire-packets.py rebuild      reads frames in hex, a line each; dissects each, drops what is computed
                                                  (lengths, checksums), and writes the frame that scapy builds from it
"""
import json
import logging
import random
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import ARP, BOOTP, DHCP, ICMP, IP, TCP, UDP, Dot1Q, Ether, Raw, fragment  # noqa: E402
from scapy.layers.inet import IPOption_RR, IPOption_Router_Alert  # noqa: E402
from scapy.utils import checksum  # noqa: E402

ROLES = ["incoming", "sub-ip", "outgoing", "next-hop"]


def emit(name, frame, expect):
    print(json.dumps({"name": name, "hex": bytes(frame).hex(), "expect": expect}))


class Random(random.Random):
    def mac(self):
        return ":".join("%02x" % self.randrange(256) for _ in range(6))

    def ip(self):
        return ".".join(str(self.randrange(256)) for _ in range(4))

    def u8(self):
        return self.randrange(1 << 8)

    def u16(self):
        return self.randrange(1 << 16)

    def u32(self):
        return self.randrange(1 << 32)

    def data(self, longest):
        return bytes(self.randrange(256) for _ in range(self.randrange(longest + 1)))


def link(r):
    """An Ethernet header, tagged or not, as scapy has it and as we say it."""
    destination, source = r.mac(), r.mac()
    frame = Ether(dst=destination, src=source)
    expect = {"destination": destination, "source": source}
    if r.random() < 0.5:
        tag = {"id": r.randrange(4096), "priority": r.randrange(8), "dropEligible": r.random() < 0.5}
        frame = frame / Dot1Q(vlan=tag["id"], prio=tag["priority"], id=int(tag["dropEligible"]))
        expect["vlan"] = tag
    return frame, expect


def packet(r, **fields):
    """An IPv4 header, with options or not."""
    dscp, ecn = r.randrange(64), r.randrange(4)
    expect = {"dscp": dscp, "ecn": ecn, "identification": r.u16(), "ttl": r.u8(), "source": r.ip(),
              "destination": r.ip(), "dontFragment": r.random() < 0.5}
    options = r.choice([[], [IPOption_Router_Alert()], [IPOption_RR(routers=[r.ip()])]])
    header = IP(tos=dscp << 2 | ecn, id=expect["identification"], ttl=expect["ttl"], src=expect["source"],
                dst=expect["destination"], flags="DF" if expect["dontFragment"] else 0, options=options, **fields)
    return header, expect


def arp(r):
    frame, ethernet = link(r)
    expect = {"operation": r.choice([1, 2, 3, r.u16()]), "senderMac": r.mac(), "senderIp": r.ip(),
              "targetMac": r.mac(), "targetIp": r.ip()}
    body = ARP(op=expect["operation"], hwsrc=expect["senderMac"], psrc=expect["senderIp"],
               hwdst=expect["targetMac"], pdst=expect["targetIp"])
    emit("arp", frame / body, {"kind": "arp", "ethernet": ethernet, "arp": expect})


def echo(r):
    frame, ethernet = link(r)
    header, ip = packet(r)
    kind = r.choice(["echo-request", "echo-reply"])
    expect = {"kind": kind, "identifier": r.u16(), "sequence": r.u16()}
    payload = r.data(60)
    body = ICMP(type=8 if kind == "echo-request" else 0, id=expect["identifier"], seq=expect["sequence"])
    expect["payload"] = payload.hex()
    emit(kind, frame / header / body / Raw(payload), {"kind": "icmp", "ethernet": ethernet, "ip": ip, "icmp": expect})


def udp(r):
    frame, ethernet = link(r)
    header, ip = packet(r)
    expect = {"sourcePort": r.u16(), "destinationPort": r.randrange(1024, 1 << 16)}
    payload = r.data(60)
    body = UDP(sport=expect["sourcePort"], dport=expect["destinationPort"])
    expect["payload"] = payload.hex()
    emit("udp", frame / header / body / Raw(payload), {"kind": "udp", "ethernet": ethernet, "ip": ip, "udp": expect})


def tcp(r):
    frame, ethernet = link(r)
    header, ip = packet(r)
    flags, bits = r.choice([("S", 0x02), ("SA", 0x12), ("R", 0x04), ("RA", 0x14), ("SEC", 0xc2), ("FPA", 0x19)])
    expect = {"sourcePort": r.u16(), "destinationPort": r.u16(), "sequence": r.u32(), "acknowledgment": r.u32(),
              "flags": bits, "window": r.u16(), "urgentPointer": r.u16()}
    options = [("NOP", None), ("SAckOK", b""), ("MSS", r.u16()), ("Timestamp", (r.u32(), r.u32()))]
    body = TCP(sport=expect["sourcePort"], dport=expect["destinationPort"], seq=expect["sequence"],
               ack=expect["acknowledgment"], flags=flags, window=expect["window"], urgptr=expect["urgentPointer"],
               options=options)
    built = bytes(body)
    expect["options"] = built[20:(built[12] >> 4) * 4].hex()
    emit("tcp", frame / header / body, {"kind": "tcp", "ethernet": ethernet, "ip": ip, "tcp": expect})


def quote(r):
    """The start of a probe, as a router quotes it, and what it must be told by."""
    header, ip = packet(r)
    ends = {"source": ip["source"], "destination": ip["destination"]}
    kind = r.choice(["udp", "tcp", "icmp"])
    if kind == "icmp":
        probe = {"protocol": "icmp", "type": 8, "identifier": r.u16(), "sequence": r.u16()}
        body = ICMP(id=probe["identifier"], seq=probe["sequence"])
    elif kind == "udp":
        probe = {"protocol": "udp", "sourcePort": r.u16(), "destinationPort": r.randrange(1024, 1 << 16)}
        body = UDP(sport=probe["sourcePort"], dport=probe["destinationPort"])
    else:
        probe = {"protocol": "tcp", "sourcePort": r.u16(), "destinationPort": r.u16(), "sequence": r.u32()}
        body = TCP(sport=probe["sourcePort"], dport=probe["destinationPort"], seq=probe["sequence"])
    whole = bytes(header / body / Raw(r.data(120)))
    start = header.__class__(whole).ihl * 4 + 8
    return whole[:r.choice([start, len(whole)])], {**ends, **probe}, ip


def extensions(r):
    """An RFC 4884 structure with an object of each kind, in any order."""
    # Not at the top: once loaded, this module changes how scapy dissects and rebuilds ICMP errors.
    from scapy.contrib.icmp_extensions import (
        ICMPExtensionHeader,
        ICMPExtensionInterfaceInformation,
        ICMPExtensionMPLS,
        ICMPExtensionObject,
    )
    from scapy.contrib.mpls import MPLS

    labels = [{"label": r.randrange(1 << 20), "trafficClass": r.randrange(8), "bottomOfStack": i == 1, "ttl": r.u8()}
              for i in range(2)]
    mpls = ICMPExtensionMPLS(stack=[MPLS(label=one["label"], cos=one["trafficClass"], s=int(one["bottomOfStack"]),
                                         ttl=one["ttl"]) for one in labels])
    info = {"kind": "interface", "role": r.choice(ROLES)}
    fields = {"interface_role": ROLES.index(info["role"])}
    if r.random() < 0.7:
        info["index"] = r.u32()
        fields.update(has_ifindex=1, ifindex=info["index"])
    if r.random() < 0.7:
        info["address"] = r.ip()
        fields.update(has_ipaddr=1, afi=1, ip4=info["address"])
    if r.random() < 0.7:
        info["name"] = r.choice(["eth0", "xe-0/0/1.100", "lag"])
        # scapy leaves the length byte out of the length, and does not fill up to 4 bytes: RFC 5837 4.3 does both.
        padded = info["name"].encode().ljust((len(info["name"]) + 4) // 4 * 4 - 1, b"\0")
        fields.update(has_ifname=1, ifname_len=len(padded) + 1, ifname=padded)
    if r.random() < 0.7:
        info["mtu"] = r.u32()
        fields.update(has_mtu=1, mtu=info["mtu"])
    data = r.data(5) + b"\0" * 4
    data = data[:len(data) // 4 * 4]
    other = ICMPExtensionObject(classnum=200, classtype=r.u8())
    both = [
        (mpls, {"kind": "mpls", "labels": labels}),
        (ICMPExtensionInterfaceInformation(**fields), info),
        (other / Raw(data), {"kind": "unknown", "classNumber": 200, "classType": other.classtype, "data": data.hex()}),
    ]
    r.shuffle(both)
    # Built one by one: an object's length would else count those behind it.
    body = b"".join(bytes(made) for made, _ in both)
    structure = bytes(ICMPExtensionHeader(chksum=0)) + body
    # scapy 2.5 would compute the checksum over the first four bytes alone; RFC 4884 7 has it cover the structure.
    return bytes(ICMPExtensionHeader(chksum=checksum(structure))) + body, [expect for _, expect in both]


def error(r):
    frame, ethernet = link(r)
    header, ip = packet(r)
    quoted, probe, quoted_ip = quote(r)
    kind, number = r.choice([("time-exceeded", 11), ("destination-unreachable", 3)])
    code = r.choice([0, 1]) if number == 11 else r.choice([0, 1, 3, 4, 13])
    expect = {"kind": kind, "code": code, "quoted": {"header": quoted_ip}, "extensions": []}
    fields = {}
    if number == 3 and code == 4:
        expect["nextHopMtu"] = fields["nexthopmtu"] = r.u16()
    body = quoted
    if r.random() < 0.7:
        filled = quoted + b"\0" * max(0, 128 - len(quoted))
        filled += b"\0" * (-len(filled) % 4)
        structure, expect["extensions"] = extensions(r)
        # A router from before RFC 4884 leaves the length out.
        if len(filled) > 128 or r.random() < 0.7:
            fields["length"] = len(filled) // 4
        body = filled + structure
    made = ICMP(type=number, code=code, **fields) / Raw(body)
    emit(kind, frame / header / made,
         {"kind": "icmp", "ethernet": ethernet, "ip": ip, "icmp": expect, "probe": probe})


def redirect(r):
    frame, ethernet = link(r)
    header, ip = packet(r)
    quoted, probe, quoted_ip = quote(r)
    expect = {"kind": "redirect", "code": r.randrange(4), "gateway": r.ip(), "quoted": {"header": quoted_ip}}
    made = ICMP(type=5, code=expect["code"], gw=expect["gateway"]) / Raw(quoted)
    emit("redirect", frame / header / made,
         {"kind": "icmp", "ethernet": ethernet, "ip": ip, "icmp": expect, "probe": probe})


def fragments(r):
    frame, ethernet = link(r)
    header, ip = packet(r)
    header.flags, header.options = 0, []
    ip["dontFragment"] = False
    made = fragment(header / UDP() / Raw(bytes(3000)), fragsize=1200)
    for i, part in enumerate(made):
        emit("fragment", frame / part, {"kind": "ipv4", "ethernet": ethernet, "ip": {
            **ip, "fragmentOffset": part.frag, "moreFragments": i < len(made) - 1, "protocol": 17}})


def dhcp(r):
    frame, _ = link(r)
    chaddr = r.mac()
    kind = r.choice([(1, "discover"), (2, "offer"), (3, "request"), (5, "ack"), (6, "nak"), (7, "release")])
    expect = {"op": r.choice([1, 2]), "htype": 1, "hops": r.u8(), "xid": r.u32(), "secs": r.u16(),
              "flags": r.choice([0, 0x8000]), "ciaddr": r.ip(), "yiaddr": r.ip(), "siaddr": r.ip(), "giaddr": r.ip(),
              "chaddr": chaddr, "sname": r.choice(["", "server"]), "file": r.choice(["", "boot/pxelinux.0"])}
    routers = [r.ip() for _ in range(r.randrange(1, 4))]
    names = [r.ip(), r.ip()]
    values = {"messageType": kind[0], "serverIdentifier": r.ip(), "requestedAddress": r.ip(), "leaseTime": r.u32(),
              "renewalTime": r.u32(), "rebindingTime": r.u32(), "subnetMask": "255.255.255.0", "router": routers,
              "domainNameServer": names, "hostName": "web-%d" % r.u8(), "domainName": "site-y.example",
              "interfaceMtu": r.u16(), "broadcastAddress": r.ip(), "parameterRequestList": [1, 3, 6, 121],
              "maximumMessageSize": r.u16(), "vendorClassIdentifier": "scapy", "message": "as you wish",
              "tftpServerName": "boot.example", "bootfileName": "pxelinux.0",
              "clientIdentifier": "01" + chaddr.replace(":", ""),
              "classlessStaticRoute": [{"prefix": {"address": "203.0.113.0", "length": 24}, "router": routers[0]}]}
    options = [
        ("message-type", kind[1]), ("server_id", values["serverIdentifier"]),
        ("requested_addr", values["requestedAddress"]), ("lease_time", values["leaseTime"]),
        ("renewal_time", values["renewalTime"]), ("rebinding_time", values["rebindingTime"]),
        ("subnet_mask", values["subnetMask"]), ("router", *routers), ("name_server", *names),
        ("hostname", values["hostName"].encode()), ("domain", values["domainName"].encode()),
        ("interface-mtu", values["interfaceMtu"]), ("broadcast_address", values["broadcastAddress"]),
        ("param_req_list", values["parameterRequestList"]), ("max_dhcp_size", values["maximumMessageSize"]),
        ("vendor_class_id", b"scapy"), ("error_message", b"as you wish"), ("tftp_server_name", b"boot.example"),
        ("boot-file-name", b"pxelinux.0"), ("client_id", bytes.fromhex(values["clientIdentifier"])),
        ("classless_static_routes", "203.0.113.0/24:" + routers[0]),
    ]
    r.shuffle(options)
    body = BOOTP(op=expect["op"], hops=expect["hops"], xid=expect["xid"], secs=expect["secs"], flags=expect["flags"],
                 ciaddr=expect["ciaddr"], yiaddr=expect["yiaddr"], siaddr=expect["siaddr"], giaddr=expect["giaddr"],
                 chaddr=bytes.fromhex(chaddr.replace(":", "")), sname=expect["sname"].encode(),
                 file=expect["file"].encode())
    made = IP(src=r.ip(), dst=r.ip()) / UDP(sport=67, dport=68) / body / DHCP(options=[*options, "end"])
    emit("dhcp " + kind[1], frame / made, {"kind": "udp", "dhcp": expect, "options": values})


def make(seed):
    r = Random(seed)
    for _ in range(20):
        for one in (arp, echo, udp, tcp, error, error, redirect, dhcp):
            one(r)
    fragments(r)


def rebuild():
    for line in sys.stdin:
        frame = Ether(bytes.fromhex(line))
        for layer in (IP, UDP, TCP, ICMP):
            if layer in frame:
                # Only the outermost: what an ICMP error quotes stays as it is.
                for field in ("len", "ihl", "chksum", "dataofs"):
                    if field in frame[layer].fields:
                        del frame[layer].fields[field]
        print(bytes(frame).hex())


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(int(sys.argv[2]))
    else:
        rebuild()
