/** Some hundred starts of the program, most of which don't look at its first second. Those that do set this to 1. */
process.env['IXY_TS_REHEARSAL'] ??= '0'
// Node.js would read all of these certificates in each of them, and nothing here speaks TLS.
delete process.env['NODE_EXTRA_CA_CERTS']
