/* folder.h - makes the names in a folder durable.
 *
 * fsync of a file keeps its bytes; that a new file has a name at all, or a renamed one its new
 * name, is kept by fsync of the folder it lies in.
 *
 *      created, linked or renamed path -> folder_sync -> survives power loss
 */
#ifndef NODE_HOST_FOLDER_H
#define NODE_HOST_FOLDER_H

#include <stdbool.h>

/* Of the folder that `path` lies in. False, with errno, when it cannot be done. */
bool folder_sync(const char *path);

#endif /* NODE_HOST_FOLDER_H */
