#include "l7/proxy_v2.h"

#define VERSION 0x20
#define COMMAND_LOCAL 0x0
#define COMMAND_PROXY 0x1
#define FAMILY_UNSPEC 0x00
#define FAMILY_TCP4 0x11
#define FAMILY_TCP6 0x21

static void begin(struct wcur *w, uint8_t command, uint8_t family, uint16_t length)
{
	static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
					      '\n', 'Q',  'U',	'I',  'T',  '\n'};

	wcur_bytes(w, signature, sizeof(signature));
	wcur_u8(w, VERSION | command);
	wcur_u8(w, family);
	wcur_u16(w, length);
}

void proxy_v2_write(struct wcur *w, const struct endpoint *client, const struct endpoint *service)
{
	bool v4 = ipaddr_is_v4(&client->addr) && ipaddr_is_v4(&service->addr);
	size_t skip = v4 ? 12 : 0, size = v4 ? 4 : 16;

	begin(w, COMMAND_PROXY, v4 ? FAMILY_TCP4 : FAMILY_TCP6, (uint16_t)(2 * size + 4));
	wcur_bytes(w, client->addr.b + skip, size);
	wcur_bytes(w, service->addr.b + skip, size);
	wcur_u16(w, client->port);
	wcur_u16(w, service->port);
}

void proxy_v2_write_local(struct wcur *w)
{
	begin(w, COMMAND_LOCAL, FAMILY_UNSPEC, 0);
}
