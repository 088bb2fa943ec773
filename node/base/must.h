/* must.h - assertions that stay in every build.
 *
 * must() states what only a bug of ours can break; it ends the process through the hook a host has
 * installed (which prints the replay line) or plain abort(). must_slow() states the same about
 * whole tables and is compiled into sanitizer builds only.
 *
 *      must(index < table->count) -> must_failed(file, line, text) -> hook of this process -> abort
 *
 * The hook lives outside libnode.a (must_failed is defined by each program), so the node library
 * keeps no global of its own.
 */
#ifndef NODE_BASE_MUST_H
#define NODE_BASE_MUST_H

/* Defined by the host that links the library: node/host, sim/host, or a test's main. */
_Noreturn void must_failed(const char *file, int line, const char *condition);

#define must(condition) ((condition) ? (void)0 : must_failed(__FILE__, __LINE__, #condition))

#if defined(__SANITIZE_ADDRESS__)
#define must_slow(condition) must(condition)
#else
#define must_slow(condition) ((void)0)
#endif

#endif /* NODE_BASE_MUST_H */
