/* daemon.h - the node as a process: what starts, in which order, and how it ends.
 *
 *      settings -> loop, service, control socket, HTTP edge, shell -> run until told to leave
 *      signals, `quit` -> leave: edge, control, service closed in that order -> exit code
 */
#ifndef NODE_MESHNODE_DAEMON_H
#define NODE_MESHNODE_DAEMON_H

#include "node/meshnode/settings.h"

/* Runs a node until it is told to end. The words are kept for reading them again on SIGHUP. */
int daemon_run(struct settings *settings, int count, char **words);

#endif /* NODE_MESHNODE_DAEMON_H */
