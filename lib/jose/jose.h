/*
 * JOSE for access tokens: algorithms, keys, key sets, tokens. Source: RFC 7515, 7517, 7518, 7519, 8037, 8725,
 * 9068.
 */
#ifndef EB_JOSE_JOSE_H
#define EB_JOSE_JOSE_H

#include "jose/alg.h"
#include "jose/jwk.h"
#include "jose/jwks.h"
#include "jose/jwt.h"

#endif
