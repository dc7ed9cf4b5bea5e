//! The methods by which an application authenticates itself (O2).

use flinks_core::Secret;
use flinks_outbound::types;

use crate::error::Error;
use crate::validate::token_problem;

/// The method that your application uses to authenticate itself. Configure the method that your
/// Flinks environment expects, because the client does not try any other. [O2](crate::rules)
#[derive(Clone, derive_more::Debug)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// Sends `client_id` and `client_secret` as body fields in each request.
    #[debug("Fields(..)")]
    Fields(ClientCredentials),
    /// Sends `client_id` and `client_secret` with HTTP Basic authentication.
    #[debug("Basic(..)")]
    Basic(ClientCredentials),
    /// Sends no credentials, as in the published OpenAPI document. The authorization URL still
    /// contains the client id.
    #[debug("None {{ .. }}")]
    None {
        /// The client id, such as `dc-…`.
        client_id: String,
    },
}

impl ClientAuthentication {
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Fields(credentials) | Self::Basic(credentials) => &credentials.client_id,
            Self::None { client_id } => client_id,
        }
    }

    /// Checks the client id. A separate method is necessary because [`None`](Self::None) has no
    /// constructor that could check the id.
    pub(super) fn check(&self) -> Result<(), Error> {
        match token_problem(self.client_id()) {
            Some(problem) => Err(Error::configuration("client id", problem)),
            None => Ok(()),
        }
    }

    /// Returns a token request, which contains the credentials unless they belong in a header.
    pub(super) fn request(&self, grant_type: types::GrantType) -> types::TokenRequest {
        let request = types::TokenRequest::new(grant_type);
        match self {
            Self::Fields(ClientCredentials { client_id, client_secret }) => {
                request.client_id(client_id.as_str()).client_secret(client_secret.clone())
            }
            Self::Basic(_) | Self::None { .. } => request,
        }
    }

    pub(super) fn client_secret(&self) -> Option<&Secret> {
        match self {
            Self::Fields(credentials) | Self::Basic(credentials) => Some(&credentials.client_secret),
            Self::None { .. } => None,
        }
    }
}

/// Converts the credentials into [`ClientAuthentication::Fields`], the usual method.
impl From<ClientCredentials> for ClientAuthentication {
    fn from(credentials: ClientCredentials) -> Self {
        Self::Fields(credentials)
    }
}

/// The `client_id` and `client_secret` that Flinks issues.
#[derive(Clone, derive_more::Debug)]
#[debug("ClientCredentials {{ .. }}")]
pub struct ClientCredentials {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
}

impl ClientCredentials {
    /// Creates credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if the client id or the client secret is empty or contains a space, a line
    /// break, a control character or a non-ASCII character.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<Secret>) -> Result<Self, Error> {
        let (client_id, client_secret) = (client_id.into(), client_secret.into());
        for (field, text) in [("client id", client_id.as_str()), ("client secret", client_secret.expose_secret())] {
            if let Some(problem) = token_problem(text) {
                return Err(Error::configuration(field, problem));
            }
        }
        Ok(Self { client_id, client_secret })
    }
}
