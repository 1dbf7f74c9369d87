// What the run in docs/evaluation/lab-run.json says of our strategies. Made by "npm run docs -- evaluation"; a test compares them.
// biome-ignore-all format: made by a script
import type {Measured} from '../domain/evaluation/measured.ts'

export const MEASURED: Readonly<Record<string, Measured>> = {
  "arp": {
    "source": "docs/evaluation",
    "at": "2026-12-01T14:13:31.358Z",
    "gwswitch": "0.1.0",
    "kernel": "6.18.44-fc-v657",
    "vm": "qemu",
    "forms": [
      {
        "row": "arp.command",
        "title": "arp, switch on RESUME",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 545.0775,
          "lo": 430.1463,
          "hi": 585.4215
        },
        "gapMs": {
          "n": 5,
          "median": 185.2959,
          "lo": 138.6945,
          "hi": 344.0074
        },
        "toControlMs": {
          "value": 13.4839,
          "lo": -5.4977,
          "hi": 23.9374,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      },
      {
        "row": "arp.before-resume",
        "title": "arp, switch --before-resume",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 53.41,
          "lo": 28.4375,
          "hi": 61.9738
        },
        "gapMs": {
          "n": 5,
          "median": 305.7002,
          "lo": 270.7914,
          "hi": 332.4429
        },
        "toControlMs": {
          "value": 7.3748,
          "lo": -19.1661,
          "hi": 25.0788,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      },
      {
        "row": "arp.service-watch",
        "title": "arp, serve site that hears it arrive",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 86.1713,
          "lo": 56.7989,
          "hi": 123.0989
        },
        "gapMs": {
          "n": 5,
          "median": 271.7079,
          "lo": 118.1304,
          "hi": 487.9679
        },
        "toControlMs": {
          "value": 19.5893,
          "lo": 0.9773,
          "hi": 52.1327,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      },
      {
        "row": "arp.service-socket",
        "title": "arp, serve site told by its socket",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 81.2311,
          "lo": 69.0548,
          "hi": 92.3299
        },
        "gapMs": {
          "n": 5,
          "median": 219.6612,
          "lo": 150.5076,
          "hi": 389.9782
        },
        "toControlMs": {
          "value": 28.7826,
          "lo": 12.5282,
          "hi": 49.0382,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      },
      {
        "row": "arp.service-event",
        "title": "arp, serve site by QEMU's event",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 116.6376,
          "lo": 73.0502,
          "hi": 178.8907
        },
        "gapMs": {
          "n": 5,
          "median": 183.4061,
          "lo": 106.9437,
          "hi": 460.6226
        },
        "toControlMs": {
          "value": 6.2946,
          "lo": -7.2306,
          "hi": 62.0052,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      }
    ]
  },
  "mac-proxy": {
    "source": "docs/evaluation",
    "at": "2026-12-01T14:13:31.358Z",
    "gwswitch": "0.1.0",
    "kernel": "6.18.44-fc-v657",
    "vm": "qemu",
    "forms": [
      {
        "row": "mac-proxy.command",
        "title": "mac-proxy, switch on RESUME",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 583.5185,
          "lo": 444.6324,
          "hi": 688.2345
        },
        "gapMs": {
          "n": 5,
          "median": 137.0753,
          "lo": 75.0132,
          "hi": 308.3736
        },
        "toControlMs": {
          "value": 10.7476,
          "lo": -6.7327,
          "hi": 26.9279,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      }
    ]
  },
  "agent": {
    "source": "docs/evaluation",
    "at": "2026-12-01T14:13:31.358Z",
    "gwswitch": "0.1.0",
    "kernel": "6.18.44-fc-v657",
    "vm": "qemu",
    "forms": [
      {
        "row": "agent.qga",
        "title": "agent by qga, switch on RESUME",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 2335.3451,
          "lo": 1549.6188,
          "hi": 2921.4869
        },
        "gapMs": {
          "n": 5,
          "median": 411.9332,
          "lo": 325.6457,
          "hi": 613.6729
        },
        "toControlMs": {
          "value": 25.0804,
          "lo": -1.1961,
          "hi": 74.4065,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      },
      {
        "row": "agent.udp",
        "title": "agent by udp, switch on RESUME",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 2032.3403,
          "lo": 1728.9659,
          "hi": 2403.0642
        },
        "gapMs": {
          "n": 5,
          "median": 238.2742,
          "lo": 184.6235,
          "hi": 290.1513
        },
        "toControlMs": {
          "value": 21.0107,
          "lo": 10.6013,
          "hi": 81.4035,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      },
      {
        "row": "agent.beacons",
        "title": "agent by beacons, the guest notices by itself",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 2946.103,
          "lo": 2607.6252,
          "hi": 3802.0056
        },
        "gapMs": {
          "n": 5,
          "median": 231.5534,
          "lo": 139.8097,
          "hi": 324.8483
        },
        "toControlMs": {
          "value": 14.6698,
          "lo": 4.7968,
          "hi": 60.7631,
          "coverage": 0.9683
        },
        "lost": 0,
        "alive": {
          "n": 5,
          "of": 5
        }
      }
    ]
  },
  "dhcp": {
    "source": "docs/evaluation",
    "at": "2026-12-01T14:13:31.358Z",
    "gwswitch": "0.1.0",
    "kernel": "6.18.44-fc-v657",
    "vm": "qemu",
    "forms": [
      {
        "row": "dhcp.forcerenew",
        "title": "dhcp, dhcpcd, switch on RESUME",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 894.6402,
          "lo": 742.2859,
          "hi": 1071.9258
        },
        "gapMs": {
          "n": 5,
          "median": 142.1127,
          "lo": 113.5,
          "hi": 363.3544
        },
        "toControlMs": {
          "value": 10.166,
          "lo": -17.4376,
          "hi": 52.2505,
          "coverage": 0.9683
        },
        "lost": 16,
        "alive": {
          "n": 5,
          "of": 5
        }
      },
      {
        "row": "dhcp.shim",
        "title": "dhcp, dhcpcd, the shim told by its socket",
        "migrations": 5,
        "toFirstMs": {
          "n": 5,
          "median": 340.6591,
          "lo": 264.1947,
          "hi": 431.5801
        },
        "gapMs": {
          "n": 5,
          "median": 213.8221,
          "lo": 125.2533,
          "hi": 246.5685
        },
        "toControlMs": {
          "value": 4.9204,
          "lo": -24.4706,
          "hi": 44.2341,
          "coverage": 0.9683
        },
        "lost": 16,
        "alive": {
          "n": 5,
          "of": 5
        }
      }
    ]
  }
}
