//! The words that make a field name look like the name of a secret, and the words that rule out a
//! secret.
//!
//! All words are lowercase and singular.

/// A list of words, separated by spaces.
pub(super) struct Words(&'static str);

impl Words {
    pub(super) fn contains(&self, word: &str) -> bool {
        self.iter().any(|other| other == word)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.split_ascii_whitespace()
    }
}

/// Words that identify a secret, even at the end of a longer word such as `idtoken`.
pub(super) const WORDS: Words = Words("token secret password passphrase passcode passwd credential");

/// Words that identify a secret only as separate words, because names such as `monkey` and
/// `barcode` merely end with `key` and `code`.
pub(super) const SHORT: Words = Words(
    "passkey pass pwd pswd psw cred key keypair code pin mpin otp totp hotp tan jwt bearer \
     signature assertion cvv cvc cvn csc hmac mnemonic pincode bearertoken sas",
);

/// Words that, as the last part of a field name, show that the field describes the secret rather
/// than contains it, as in `token_type`.
pub(super) const ABOUT: Words = Words(
    "type kind category class format algorithm alg method version status state policy policie \
     rule requirement strength length size count limit quota expire expired expiry expiration exp \
     expiring expirable ttl lifetime duration validity valid age at on date datetime time \
     timestamp created updated issued issuer changed modified last used usage use url uri \
     endpoint host path location name label description symbol decimal amount balance price \
     supply standard contract address chain icon logo requestor requester provider assurance \
     level scope audience owner holder binding required enabled disabled allowed supported \
     verified confirmed set present presence provided needed mandatory optional exist rotation \
     rotated revoked attempt retry retrie trie try remaining failure failed error reason check \
     match mode capability entry channel delivery sent placeholder fingerprint thumbprint prefix \
     suffix preview masked index position permission role template pattern regex minimum maximum \
     min max encoding curve question subject schema configuration definition indicator challenge \
     ref reference arn currency country network tag ceremony metadata",
);

/// Words that, as the last part of a field name, identify the secret. The id of a token or a secret
/// is often the credential itself.
pub(super) const IDS: Words = Words("id identifier uid uuid guid kid sid");

/// Words before which `key` can be an adjective, as in `key_contact`.
pub(super) const KEY_ADJECTIVE: Words = Words(
    "contact person people fact figure feature point driver risk indicator metric account \
     information info benefit word operation",
);

/// Words that, at the start of a name, show that the field is a flag or a number, as in
/// `has_password` and `max_tokens`.
pub(super) const FLAG: Words = Words(
    "has is are require required need should can must allow allowed enable enabled disable \
     supported show hide num max min total count masked force minimum maximum",
);

/// Words before `code` that make the code a credential, as in `verification_code`.
pub(super) const CODE: Words = Words(
    "authorization authorisation auth oauth authentication authn authenticator access \
     verification verify validation security mfa 2fa tfa factor otp totp otc onetime activation \
     activate confirmation confirm sms email device user pin pass recovery backup invite \
     invitation secret login signin logon unlock reset sca tan cvv cvc scratch emergency bypass \
     grant session pairing enrollment enrolment temporary temp magic linking password",
);

/// Words before `key` that make the key a credential, even without a separator, as in `apikey`.
pub(super) const KEY: Words = Words(
    "secret private api access auth encryption signing client master session shared service \
     license hmac app",
);

/// Words before `key` that rule out a credential, as in `idempotency_key`.
pub(super) const PLAIN_KEY: Words = Words(
    "idempotency idempotent idempotence public pub publishable site primary foreign sort \
     partition composite unique natural surrogate map index group grouping lookup cache object \
     file translation message locale label row range dedup deduplication setting property \
     attribute field metadata meta order filter search record entity pix error name type status \
     country currency i18n reason dimension parameter param bucket aggregation alia routing event \
     config feature flag tag category reconciliation correlation join parent child item column \
     text resource image",
);

/// Words before `token` that rule out a credential, as in `page_token`.
pub(super) const PLAIN_TOKEN: Words = Words(
    "page paging pagination continuation continue next previous prev cursor scroll skip sync \
     delta idempotency idempotent concurrency crypto erc nft design offset",
);

/// Words before `bearer` that rule out a credential. A charge bearer pays the fees for a transfer
/// (ISO 20022).
pub(super) const PLAIN_BEARER: Words = Words("charge fee cost chrg expense tax");

/// Fields of an OAuth 2.0 request or response (RFC 6749, RFC 7636). A field named `code` next
/// to one of these fields is an authorization code.
pub(super) const OAUTH: Words = Words(
    "grant_type redirect_uri client_id client_secret code_verifier response_type session_state \
     refresh_token code_challenge assertion",
);

/// Fields that, next to a field named `code`, show that the code is a value from a list.
pub(super) const LISTED: Words = Words(
    "message msg error description name status detail title label reason value category country \
     currency symbol path field severity issue amount rate unit locale language narrative \
     parameter param",
);

/// Objects, such as `country`, whose `code` field is a value from a list.
pub(super) const LISTED_OBJECT: Words = Words(
    "error problem fault exception warning failure country currency language locale bank branch \
     reason status product category merchant industry state region province tax purpose type \
     transaction location city institution discount coupon voucher promotion result scheme \
     proprietary mcc unit amount fee charge",
);

/// Words in the names of postal address fields. Next to a field with one of these words in its
/// name, `pin` means an Indian postal code.
pub(super) const ADDRESS: Words =
    Words("city district street address country line town locality province postal landmark region road");

/// Names of properties that contain the secret if their object is named after a secret.
pub(super) const VALUE: Words = Words(
    "value data text raw string content hash encoded plain plaintext payload encrypted ciphertext \
     material number",
);

/// Words at the end of a message's name. A message can contain a secret field, but the message's
/// name alone does not make a field a secret.
pub(super) const MESSAGE: Words = Words(
    "response request list result page collection reply body input output resource dto detail \
     info item object model entry",
);
