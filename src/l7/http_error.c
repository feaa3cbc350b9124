#include <assert.h>

#include "l7/http_write_parts.h"

struct phrase {
	unsigned status;
	const char *text;
};

/* Those that a gateway says itself. */
static const struct phrase phrases[] = {
	{400, "Bad Request"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{411, "Length Required"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

const char *http_status_phrase(unsigned status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].text;
	return "Unknown";
}

static void write_page(struct wcur *w, unsigned status, const char *phrase)
{
	put(w, TEXT("<!DOCTYPE html>\n<title>"));
	http_put_number(w, status);
	put(w, TEXT(" "));
	put_str(w, phrase);
	put(w, TEXT("</title>\n<h1>"));
	put_str(w, phrase);
	put(w, TEXT("</h1>\n"));
}

void http_write_error(struct wcur *w, unsigned status, bool head, struct text lines)
{
	const char *phrase = http_status_phrase(status);
	uint8_t page[256];
	struct wcur body = wcur_init(page, sizeof(page));

	assert(status >= 400 && status <= 599);
	write_page(&body, status, phrase);
	put(w, TEXT("HTTP/1.1 "));
	http_put_number(w, status);
	put(w, TEXT(" "));
	put_str(w, phrase);
	put(w, TEXT("\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nContent-Length: "));
	http_put_number(w, wcur_size(&body));
	put(w, TEXT("\r\n"));
	put(w, lines);
	put(w, TEXT("Connection: close\r\n\r\n"));
	if (!head)
		wcur_bytes(w, page, wcur_size(&body));
}

void http_write_continue(struct wcur *w)
{
	put(w, TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
}
