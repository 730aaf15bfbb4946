//! The administration calls, in short.

use holdfast::etcd::pb::authpb::{Permission, UserAddOptions, permission};
use holdfast::etcd::pb::etcdserverpb::*;
use tonic::Status;

use crate::harness::{Client, Server, Settings, bytes, end_of};

pub use permission::Type;

/// For servers whose clients are nobody until they show a token, over TLS too.
pub fn settings() -> Settings {
    Settings::default().without_certified_users()
}

/// A server of its own with [`settings`].
pub async fn fresh() -> Server {
    Server::start(settings()).await
}

/// Administration through one connection.
pub struct Admin(pub Client);

macro_rules! admin_calls {
    ($($name:ident: $call:ident($request:ident { $($field:ident),* })),* $(,)?) => {
        $(pub async fn $name(&self, $($field: &str),*) -> Result<(), Status> {
            #[allow(clippy::needless_update, reason = "some requests have more fields")]
            let request = $request { $($field: $field.into(),)* ..Default::default() };
            self.0.auth().$call(request).await.map(|_| ())
        })*
    };
}

impl Admin {
    admin_calls! {
        user_add: user_add(AuthUserAddRequest { name, password }),
        user_delete: user_delete(AuthUserDeleteRequest { name }),
        user_grant: user_grant_role(AuthUserGrantRoleRequest { user, role }),
        user_revoke: user_revoke_role(AuthUserRevokeRoleRequest { name, role }),
        role_add: role_add(AuthRoleAddRequest { name }),
        role_delete: role_delete(AuthRoleDeleteRequest { role }),
    }

    pub async fn change_password(&self, name: &str, password: &str) -> Result<(), Status> {
        let request = AuthUserChangePasswordRequest {
            name: name.into(),
            password: password.into(),
            ..Default::default()
        };
        self.0
            .auth()
            .user_change_password(request)
            .await
            .map(|_| ())
    }

    pub async fn user_add_without_password(&self, name: &str) -> Result<(), Status> {
        let request = AuthUserAddRequest {
            name: name.into(),
            options: Some(UserAddOptions { no_password: true }),
            ..Default::default()
        };
        self.0.auth().user_add(request).await.map(|_| ())
    }

    pub async fn user_roles(&self, name: &str) -> Result<Vec<String>, Status> {
        let request = AuthUserGetRequest { name: name.into() };
        Ok(self.0.auth().user_get(request).await?.into_inner().roles)
    }

    pub async fn users(&self) -> Result<Vec<String>, Status> {
        let response = self.0.auth().user_list(AuthUserListRequest {}).await?;
        Ok(response.into_inner().users)
    }

    pub async fn roles(&self) -> Result<Vec<String>, Status> {
        let response = self.0.auth().role_list(AuthRoleListRequest {}).await?;
        Ok(response.into_inner().roles)
    }

    pub async fn role_permissions(&self, role: &str) -> Result<Vec<Permission>, Status> {
        let request = AuthRoleGetRequest { role: role.into() };
        Ok(self.0.auth().role_get(request).await?.into_inner().perm)
    }

    pub async fn role_grant(&self, name: &str, perm: Option<Permission>) -> Result<(), Status> {
        let request = AuthRoleGrantPermissionRequest {
            name: name.into(),
            perm,
        };
        self.0
            .auth()
            .role_grant_permission(request)
            .await
            .map(|_| ())
    }

    pub async fn role_revoke(&self, role: &str, key: &str, range_end: &str) -> Result<(), Status> {
        let request = AuthRoleRevokePermissionRequest {
            role: role.into(),
            key: bytes(key),
            range_end: bytes(range_end),
        };
        self.0
            .auth()
            .role_revoke_permission(request)
            .await
            .map(|_| ())
    }

    pub async fn enable(&self) -> Result<(), Status> {
        self.0
            .auth()
            .auth_enable(AuthEnableRequest {})
            .await
            .map(|_| ())
    }

    pub async fn disable(&self) -> Result<(), Status> {
        self.0
            .auth()
            .auth_disable(AuthDisableRequest {})
            .await
            .map(|_| ())
    }

    pub async fn status(&self) -> Result<AuthStatusResponse, Status> {
        let response = self.0.auth().auth_status(AuthStatusRequest {}).await?;
        Ok(response.into_inner())
    }

    pub async fn authenticate(&self, name: &str, password: &str) -> Result<String, Status> {
        let request = AuthenticateRequest {
            name: name.into(),
            password: password.into(),
        };
        Ok(self
            .0
            .auth()
            .authenticate(request)
            .await?
            .into_inner()
            .token)
    }

    /// A connection that speaks as this user.
    pub async fn as_user(&self, name: &str, password: &str) -> Client {
        let token = self.authenticate(name, password).await.unwrap();
        self.0.with_metadata("token", &token)
    }

    /// Adds a user with a role of the same name and these permissions.
    pub async fn add_with(&self, name: &str, permissions: Vec<Permission>) {
        self.user_add(name, name).await.unwrap();
        self.role_add(name).await.unwrap();
        for permission in permissions {
            self.role_grant(name, Some(permission)).await.unwrap();
        }
        self.user_grant(name, name).await.unwrap();
    }

    /// Adds root and turns authentication on; a connection that speaks as root.
    pub async fn enable_with_root(&self) -> Client {
        self.user_add("root", "root").await.unwrap();
        self.user_grant("root", "root").await.unwrap();
        self.enable().await.unwrap();
        self.as_user("root", "root").await
    }
}

pub fn permit(kind: Type, key: impl AsRef<[u8]>, range_end: impl AsRef<[u8]>) -> Permission {
    Permission {
        perm_type: kind.into(),
        key: bytes(key),
        range_end: bytes(range_end),
    }
}

pub fn permit_prefix(kind: Type, prefix: impl AsRef<[u8]>) -> Permission {
    let end = end_of(&prefix);
    permit(kind, prefix, end)
}
