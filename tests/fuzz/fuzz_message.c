/*
 * Bytes of a stranger who may send to the cluster port.
 *
 * Each input goes to a channel three times: as it is; with its payload sealed afresh as the next
 * message of a proven member; and sealed under whatever boot id it names, as a newcomer's. Whatever
 * happens, a datagram is counted exactly once.
 */
#include "../unit/channel_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net *net;
static uint8_t key[KEYRING_KEY];
static uint64_t counter;

static void clean_up(void)
{
	net_free(net);
}

static void set_up(void)
{
	for (unsigned i = 0; i < KEYRING_KEY; i++)
		key[i] = (uint8_t)i;
	net = net_new(2, TRANSPORT_MULTICAST, true);
	net_start_all(net);
	atexit(clean_up);
}

/* The two know each other; whom an input has sent away comes back. */
static void meet(void)
{
	if (net_member(net, 0, 1)->proven && net_complete(net))
		return;
	net_start_all(net);
	net_run(net, 1000);
	counter = 1000000;
	if (!net_complete(net))
		abort();
}

static uint64_t verdicts(void)
{
	const uint64_t *c = net->nodes[0].counters;
	uint64_t sum = c[COUNTER_MSG_IN];

	for (unsigned i = COUNTER_MSG_SHORT; i <= COUNTER_MSG_CHALLENGE_BAD; i++)
		sum += i == COUNTER_MSG_CHALLENGE ? 0 : c[i];
	return sum;
}

static void input(const void *data, size_t size)
{
	struct endpoint from = net_endpoint(1);
	uint64_t before = verdicts();

	net_input(net, 0, &from, size & 1, data, size);
	if (verdicts() != before + 1)
		abort();
}

/* Seal the payload of `data` in place of its own header's promise. */
static void input_sealed(const uint8_t *data, size_t size, const uint8_t *boot_id)
{
	static uint8_t out[WIRE_DATAGRAM_MAX];
	struct wire_header h = {
		.version = WIRE_VERSION,
		.version_max = WIRE_VERSION,
		.type = data[6],
		.key_id = 1,
		.cluster_id = 7,
		.node_id = net_id(1),
		.counter = ++counter,
	};

	memcpy(h.boot_id, boot_id, WIRE_BOOT_ID);
	net_forge(out, &h, key, data + WIRE_HEADER, size - WIRE_OVERHEAD);
	input(out, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!net)
		set_up();
	meet();
	input(data, size);
	if (size >= WIRE_OVERHEAD && size <= WIRE_DATAGRAM_MAX) {
		input_sealed(data, size, net->nodes[1].boot_id);
		input_sealed(data, size, data + 16);
	}
	net->next = net->n_queue = 0; /* what it answered goes nowhere */
	net_forget(net);
	net_run(net, 50);
	net_forget(net);
	return 0;
}
