/* Anonymous clients: admitted only where the permissions document has a noauth entry. */
#include "methods/methods.h"

enum eb_rc eb_method_noauth(struct eb_attempt *a) {
    a->method = EB_METHOD_NOAUTH;
    if (!eb_policy_noauth(a->view->policy, &a->entry))
        return EB_FAIL(&a->err, EB_E_NOAUTH_OFF,
                       "no credentials, and the permissions document has no noauth entry");
    return eb_attempt_admit(a);
}
