/** Two sites, a segment with a gateway IP per site and one with a shared gateway IP; as in README, "Inventory". */
export const INVENTORY = `
version: 1
sites:
  x: { prefixes: [198.51.100.0/24], dciRttMs: 20 }
  y: { prefixes: [203.0.113.0/24] }
segments:
  tenant-a:
    prefix: 10.0.0.0/24
    gateways:
      - { name: rx, site: x, ip: 10.0.0.1, mac: "02:00:00:00:0a:01" }
      - { name: ry, site: y, ip: 10.0.0.2, mac: "02:00:00:00:0b:01" }
  tenant-b:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:02" }
      - { name: by, site: y, ip: 10.1.0.254, mac: "02:00:00:00:0b:02" }
vms:
  web-07: { segment: tenant-a, ip: 10.0.0.10, mac: "02:00:00:00:00:10", strategies: [agent, dhcp] }
  db-03: { segment: tenant-b, ip: 10.1.0.10, mac: "02:00:00:00:01:10", strategies: [arp] }
`
