//! Databases to run a world on: a new SQLite file, or a new database of one PostgreSQL server.

use mileverse_fixtures::postgres::{Durability, Postgres};
use mileverse_gateway::store::{Location, Purpose, Store};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "template_of_all";

pub enum Databases {
    Sqlite,
    Postgres {
        server: Box<Postgres>,
        made: AtomicU32,
        template: OnceCell<()>,
    },
}

impl Databases {
    pub fn sqlite() -> Self {
        Self::Sqlite
    }

    pub fn postgres() -> Self {
        let server = Postgres::start(Durability::ProcessOnly).unwrap_or_else(|why| panic!("{why}"));
        Self::Postgres {
            server: Box::new(server),
            made: AtomicU32::new(0),
            template: OnceCell::new(),
        }
    }

    /// A database that nothing was written to.
    pub async fn fresh(&self, directory: &Path) -> Location {
        match self {
            Self::Sqlite => Location::Sqlite(directory.join("gateway.sqlite")),
            Self::Postgres {
                server,
                made,
                template,
            } => {
                template
                    .get_or_init(|| async {
                        let url = server.create(TEMPLATE, None).unwrap();
                        let location = Location::Postgres(url.parse().unwrap());
                        let store = Store::open(&location, Purpose::Administer).await.unwrap();
                        store.close().await;
                    })
                    .await;
                let name = format!("world_{}", made.fetch_add(1, Ordering::Relaxed));
                let url = server.create(&name, Some(TEMPLATE)).unwrap();
                Location::Postgres(url.parse().unwrap())
            }
        }
    }
}
