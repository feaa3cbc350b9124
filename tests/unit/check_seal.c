/*
 * check_seal.c - sealing, against vectors computed with other implementations of BLAKE2b,
 * ChaCha20-Poly1305 and AES-GCM.
 */
/* proves: FC-15 */
#include <check.h>
#include <stdio.h>

#include "cluster/seal.h"
#include "guard.h"

#define SIZE 72

static const uint8_t payload[16] = "firewall cluster";
static const uint8_t boot_id[WIRE_BOOT_ID] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
					      0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};

/* Cluster key 00..1f, cluster id 0x0102, node id 0x0304, key id 9, query, counter
 * 0x1122334455667788. */
static const char *const vectors[] = {
	[CIPHER_CHACHA20_POLY1305] =
		"46574331010105090102030400000048a0a1a2a3a4a5a6a7a8a9aaabacadaeaf1122334455667788"
		"df81c148ecec1d9e7ec64501fcbe3be05f7be50518c9b2399b18f6ba2ffa9e72",
	[CIPHER_AES_256_GCM] =
		"46574331010105090102030401000048a0a1a2a3a4a5a6a7a8a9aaabacadaeaf1122334455667788"
		"72aac70fe894f676e3ea8b4f420aa138a696f8d7ff23998aec6ce3143142b195",
};

static struct wire_header h;
static struct seal seal;
static uint8_t *data;

static void init_seal(struct seal *s, const struct wire_header *header)
{
	const struct seal_owner owner = {header->cluster_id, header->node_id, header->boot_id};
	uint8_t key[KEYRING_KEY];

	for (unsigned i = 0; i < KEYRING_KEY; i++)
		key[i] = (uint8_t)i;
	seal_init(s, key, header->cipher, &owner);
}

static void put_plain(void)
{
	struct wcur c = wcur_init(data, SIZE);

	wire_put_header(&c, &h);
	wcur_bytes(&c, payload, sizeof(payload));
	memset(c.pos, 0, WIRE_TAG);
}

/* Before that, libsodium says that it has no AES-GCM. */
static void setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
}

static void start(uint8_t cipher)
{
	h = (struct wire_header){
		.version = 1,
		.version_max = 1,
		.type = WIRE_QUERY,
		.key_id = 9,
		.cipher = cipher,
		.cluster_id = 0x0102,
		.node_id = 0x0304,
		.length = SIZE,
		.counter = 0x1122334455667788,
	};
	memcpy(h.boot_id, boot_id, sizeof(boot_id));
	init_seal(&seal, &h);
	data = guard_copy(NULL, SIZE);
	put_plain();
}

static void teardown(void)
{
	if (data)
		guard_free(data, SIZE);
	data = NULL;
	seal_fini(&seal);
}

/* A machine without AES instructions has no AES-GCM in libsodium: then the test ends here. */
#define START(cipher)                                                                              \
	do {                                                                                       \
		if (!seal_available(cipher)) {                                                     \
			puts("skipped: no AES-256-GCM on this machine");                           \
			return;                                                                    \
		}                                                                                  \
		start(cipher);                                                                     \
	} while (0)

START_TEST(availability)
{
	ck_assert(seal_available(CIPHER_CHACHA20_POLY1305));
	ck_assert_int_eq(seal_available(CIPHER_AES_256_GCM), crypto_aead_aes256gcm_is_available());
	for (unsigned c = 2; c < 256; c++)
		ck_assert(!seal_available((uint8_t)c));
}
END_TEST

START_TEST(pinned_vector)
{
	char hex[2 * SIZE + 1];

	START((uint8_t)_i);
	seal_close(&seal, &h, data, SIZE);
	sodium_bin2hex(hex, sizeof(hex), data, SIZE);
	ck_assert_str_eq(hex, vectors[_i]);
	ck_assert(seal_open(&seal, &h, data, SIZE));
	ck_assert_mem_eq(data + WIRE_HEADER, payload, sizeof(payload));
}
END_TEST

/* Whatever bit of the datagram is changed, header included, it does not open. */
START_TEST(every_bit_counts)
{
	uint8_t good[SIZE];

	START((uint8_t)_i);
	seal_close(&seal, &h, data, SIZE);
	memcpy(good, data, SIZE);
	for (unsigned bit = 0; bit < SIZE * 8; bit++) {
		memcpy(data, good, SIZE);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_msg(!seal_open(&seal, &h, data, SIZE), "bit %u", bit);
	}
	memcpy(data, good, SIZE);
	ck_assert(seal_open(&seal, &h, data, SIZE));
}
END_TEST

START_TEST(no_payload)
{
	START((uint8_t)_i);
	seal_close(&seal, &h, data, WIRE_OVERHEAD);
	ck_assert(seal_open(&seal, &h, data, WIRE_OVERHEAD));
	data[WIRE_OVERHEAD - 1] ^= 1;
	ck_assert(!seal_open(&seal, &h, data, WIRE_OVERHEAD));
}
END_TEST

/* Type and counter make the nonce; every part of the owner and the cipher make the key. */
START_TEST(domains_are_apart)
{
	struct wire_header other[6];
	uint8_t good[SIZE];

	START((uint8_t)_i);
	seal_close(&seal, &h, data, SIZE);
	memcpy(good, data, SIZE);
	for (unsigned i = 0; i < 6; i++)
		other[i] = h;
	other[0].type = WIRE_CONFIRM;
	other[1].counter++;
	other[2].cluster_id++;
	other[3].node_id++;
	other[4].boot_id[15]++;
	other[5].boot_id[0]++;
	for (unsigned i = 0; i < 6; i++) {
		struct seal s;

		init_seal(&s, &other[i]);
		ck_assert_msg(!seal_open(&s, &other[i], data, SIZE), "%u", i);
		memcpy(data, good, SIZE);
		seal_fini(&s);
	}
}
END_TEST

START_TEST(fini_wipes)
{
	START((uint8_t)_i);
	seal_fini(&seal);
	ck_assert(sodium_is_zero((const uint8_t *)&seal, sizeof(seal)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("seal");
	TCase *t = tcase_create("seal");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, availability);
	tcase_add_loop_test(t, pinned_vector, 0, 2);
	tcase_add_loop_test(t, every_bit_counts, 0, 2);
	tcase_add_loop_test(t, no_payload, 0, 2);
	tcase_add_loop_test(t, domains_are_apart, 0, 2);
	tcase_add_loop_test(t, fini_wipes, 0, 2);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
