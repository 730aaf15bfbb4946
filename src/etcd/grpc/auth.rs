//! `etcdserverpb.Auth`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::{Request, Response, Status};

use super::access;
use crate::base::range::KeyRange;
use crate::engine::{
    Acting, AuthError, Engine, EngineError, NewPassword, Permission, PermissionKind,
};
use crate::etcd::pb::authpb;
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::auth_server::Auth;
use crate::etcd::response;

type Answer<T> = Result<Response<T>, Status>;

pub(super) struct AuthService {
    engine: Engine,
}

impl AuthService {
    pub(super) const fn new(engine: Engine) -> Self {
        Self { engine }
    }

    fn acting<T>(&self, request: &Request<T>) -> Acting<'_> {
        self.engine.acting(access::caller(request))
    }
}

/// Calls that change something and say no more than that it is done.
macro_rules! answered {
    ($response:ident, $done:expr) => {{
        let header = response::header($done.await?);
        Ok(Response::new(pb::$response { header }))
    }};
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn auth_enable(
        &self,
        request: Request<pb::AuthEnableRequest>,
    ) -> Answer<pb::AuthEnableResponse> {
        answered!(AuthEnableResponse, self.acting(&request).auth_enable())
    }

    async fn auth_disable(
        &self,
        request: Request<pb::AuthDisableRequest>,
    ) -> Answer<pb::AuthDisableResponse> {
        answered!(AuthDisableResponse, self.acting(&request).auth_disable())
    }

    async fn auth_status(
        &self,
        _request: Request<pb::AuthStatusRequest>,
    ) -> Answer<pb::AuthStatusResponse> {
        let (header, enabled, auth_revision) = self.engine.auth_status().await?;
        Ok(Response::new(pb::AuthStatusResponse {
            header: response::header(header),
            enabled,
            auth_revision,
        }))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Answer<pb::AuthenticateResponse> {
        let pb::AuthenticateRequest { name, password } = request.into_inner();
        let (header, token) = self.engine.authenticate(name, password).await?;
        Ok(Response::new(pb::AuthenticateResponse {
            header: response::header(header),
            token,
        }))
    }

    async fn user_add(
        &self,
        request: Request<pb::AuthUserAddRequest>,
    ) -> Answer<pb::AuthUserAddResponse> {
        let engine = self.acting(&request);
        let request = request.into_inner();
        if request.name.is_empty() {
            return Err(refusal(AuthError::UserEmpty));
        }
        let password = if request.options.is_some_and(|options| options.no_password) {
            None
        } else {
            Some(password(request.password, &request.hashed_password)?)
        };
        answered!(AuthUserAddResponse, engine.user_add(request.name, password))
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Answer<pb::AuthUserGetResponse> {
        let name = &request.get_ref().name;
        let (header, roles) = self.acting(&request).user_get(name).await?;
        let header = response::header(header);
        Ok(Response::new(pb::AuthUserGetResponse { header, roles }))
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Answer<pb::AuthUserListResponse> {
        let (header, users) = self.acting(&request).user_list().await?;
        let header = response::header(header);
        Ok(Response::new(pb::AuthUserListResponse { header, users }))
    }

    async fn user_delete(
        &self,
        request: Request<pb::AuthUserDeleteRequest>,
    ) -> Answer<pb::AuthUserDeleteResponse> {
        let engine = self.acting(&request);
        let name = request.into_inner().name;
        answered!(AuthUserDeleteResponse, engine.user_delete(name))
    }

    async fn user_change_password(
        &self,
        request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Answer<pb::AuthUserChangePasswordResponse> {
        let engine = self.acting(&request);
        let request = request.into_inner();
        let password = password(request.password, &request.hashed_password)?;
        let done = engine.user_change_password(request.name, password);
        answered!(AuthUserChangePasswordResponse, done)
    }

    async fn user_grant_role(
        &self,
        request: Request<pb::AuthUserGrantRoleRequest>,
    ) -> Answer<pb::AuthUserGrantRoleResponse> {
        let engine = self.acting(&request);
        let pb::AuthUserGrantRoleRequest { user, role } = request.into_inner();
        answered!(
            AuthUserGrantRoleResponse,
            engine.user_grant_role(user, role)
        )
    }

    async fn user_revoke_role(
        &self,
        request: Request<pb::AuthUserRevokeRoleRequest>,
    ) -> Answer<pb::AuthUserRevokeRoleResponse> {
        let engine = self.acting(&request);
        let pb::AuthUserRevokeRoleRequest { name, role } = request.into_inner();
        answered!(
            AuthUserRevokeRoleResponse,
            engine.user_revoke_role(name, role)
        )
    }

    async fn role_add(
        &self,
        request: Request<pb::AuthRoleAddRequest>,
    ) -> Answer<pb::AuthRoleAddResponse> {
        let engine = self.acting(&request);
        let name = request.into_inner().name;
        answered!(AuthRoleAddResponse, engine.role_add(name))
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Answer<pb::AuthRoleGetResponse> {
        let role = &request.get_ref().role;
        let (header, permissions) = self.acting(&request).role_get(role).await?;
        Ok(Response::new(pb::AuthRoleGetResponse {
            header: response::header(header),
            perm: permissions.into_iter().map(told).collect(),
        }))
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Answer<pb::AuthRoleListResponse> {
        let (header, roles) = self.acting(&request).role_list().await?;
        let header = response::header(header);
        Ok(Response::new(pb::AuthRoleListResponse { header, roles }))
    }

    async fn role_delete(
        &self,
        request: Request<pb::AuthRoleDeleteRequest>,
    ) -> Answer<pb::AuthRoleDeleteResponse> {
        let engine = self.acting(&request);
        let name = request.into_inner().role;
        answered!(AuthRoleDeleteResponse, engine.role_delete(name))
    }

    async fn role_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Answer<pb::AuthRoleGrantPermissionResponse> {
        let engine = self.acting(&request);
        let pb::AuthRoleGrantPermissionRequest { name, perm } = request.into_inner();
        let permission = permission(perm).map_err(refusal)?;
        answered!(
            AuthRoleGrantPermissionResponse,
            engine.role_grant(name, permission)
        )
    }

    async fn role_revoke_permission(
        &self,
        request: Request<pb::AuthRoleRevokePermissionRequest>,
    ) -> Answer<pb::AuthRoleRevokePermissionResponse> {
        let engine = self.acting(&request);
        let request = request.into_inner();
        let range = KeyRange::from_wire(request.key, request.range_end);
        let done = engine.role_revoke(request.role, range);
        answered!(AuthRoleRevokePermissionResponse, done)
    }
}

fn refusal(error: AuthError) -> Status {
    EngineError::from(error).into()
}

/// The password, or without one the hash that the client made of it.
fn password(plain: String, hashed: &str) -> Result<NewPassword, Status> {
    if !plain.is_empty() || hashed.is_empty() {
        return Ok(NewPassword::Plain(plain));
    }
    let hash = STANDARD.decode(hashed);
    hash.map(NewPassword::Hash)
        .map_err(|_| refusal(AuthError::InvalidManagement))
}

fn permission(given: Option<authpb::Permission>) -> Result<Permission, AuthError> {
    let given = given.ok_or(AuthError::PermissionNotGiven)?;
    let kind = match authpb::permission::Type::try_from(given.perm_type) {
        Ok(authpb::permission::Type::Read) => PermissionKind::Read,
        Ok(authpb::permission::Type::Write) => PermissionKind::Write,
        Ok(authpb::permission::Type::Readwrite) => PermissionKind::ReadWrite,
        Err(_) => return Err(AuthError::InvalidManagement),
    };
    let range = KeyRange::from_wire(given.key, given.range_end);
    Ok(Permission { kind, range })
}

fn told(permission: Permission) -> authpb::Permission {
    let kind = match permission.kind {
        PermissionKind::Read => authpb::permission::Type::Read,
        PermissionKind::Write => authpb::permission::Type::Write,
        PermissionKind::ReadWrite => authpb::permission::Type::Readwrite,
    };
    authpb::Permission {
        perm_type: kind.into(),
        range_end: permission.range.wire_end(),
        key: permission.range.start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_told_as_it_was_given() {
        for kind in 0..3 {
            for range_end in ["", "\0", "b"] {
                let given = authpb::Permission {
                    perm_type: kind,
                    key: "a".into(),
                    range_end: range_end.into(),
                };
                assert_eq!(told(permission(Some(given.clone())).unwrap()), given);
            }
        }
        assert_eq!(permission(None), Err(AuthError::PermissionNotGiven));
        let unknown = authpb::Permission {
            perm_type: 3,
            ..authpb::Permission::default()
        };
        assert_eq!(permission(Some(unknown)), Err(AuthError::InvalidManagement));
    }

    #[test]
    fn a_hash_counts_only_without_a_password() {
        let plain = |text: &str| NewPassword::Plain(text.into());
        assert_eq!(password("pw".into(), "aGFzaA==").unwrap(), plain("pw"));
        assert_eq!(password(String::new(), "").unwrap(), plain(""));
        let hash = NewPassword::Hash(b"hash".to_vec());
        assert_eq!(password(String::new(), "aGFzaA==").unwrap(), hash);
        let refused = password(String::new(), "?").unwrap_err();
        assert_eq!(refused.message(), "etcdserver: invalid auth management");
    }
}
