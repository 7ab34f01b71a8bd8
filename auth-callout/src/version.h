/* The version of the project, from the build. */
#ifndef EB_VERSION_H
#define EB_VERSION_H

#ifndef EB_VERSION
#define EB_VERSION "0.0.0"
#endif

#endif
