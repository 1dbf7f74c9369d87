/** Where the service of a site (`gwswitch serve site --control`) takes orders, if nothing else is said. */
export const SITE_SOCKET = '/run/gwswitch/site.sock'
