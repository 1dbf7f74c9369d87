// Hellos byte by byte. VRRP: as keepalived sends them for 10.1.0.254, VRID 51, priority 150. HSRP: RFC 2281 section 5.1.
export const VRRP3 = [0x31, 51, 150, 1, 0x00, 0x64, 0x12, 0x34, 10, 1, 0, 254]
export const VRRP2 = [0x21, 51, 150, 1, 0, 1, 0x12, 0x34, 10, 1, 0, 254, 0, 0, 0, 0, 0, 0, 0, 0]
/** CARP begins as VRRP version 2 does: VHID 51, a counter and a digest. */
export const CARP = [0x21, 51, 0, 7, 0, 1, 0x12, 0x34, ...Array.from({length: 28}, (_, i) => i)]
export const HSRP = [0, 0, 16, 3, 10, 110, 7, 0, 0x63, 0x69, 0x73, 0x63, 0x6f, 0, 0, 0, 10, 1, 0, 254]
