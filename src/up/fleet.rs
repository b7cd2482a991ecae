//! Every child of one `up`, in the order they were started, so that they can be stopped in reverse:
//! whoever asks somebody else stops before the one that is asked.

use super::{
    error::Error,
    files,
    process::{Process, Recipe, Watcher},
};
use std::time::Duration;

/// Longest wait for a ready line.
const READY: Duration = Duration::from_secs(90);

/// The children.
#[derive(Debug)]
pub struct Fleet {
    watcher: Watcher,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    recipe: Recipe,
    process: Option<Process>,
}

impl Fleet {
    /// None yet.
    pub fn new() -> Self {
        Self {
            watcher: Watcher::new(),
            members: Vec::new(),
        }
    }

    /// Whether nothing was started.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Hears of children that end by themselves.
    pub fn watcher(&self) -> Watcher {
        self.watcher.clone()
    }

    /// Starts a new child, with a new log, that says nothing when it is ready.
    pub fn launch_silent(&mut self, recipe: Recipe) -> Result<(), Error> {
        files::set_aside(&recipe.log)?;
        let mut process = Process::start(&recipe, &self.watcher)?;
        process.detach_output();
        self.members.push(Member {
            recipe,
            process: Some(process),
        });
        Ok(())
    }

    /// Starts new children, with new logs, together and waits until all are ready.
    pub async fn launch(&mut self, recipes: Vec<Recipe>) -> Result<(), Error> {
        let mut names = Vec::new();
        for recipe in recipes {
            files::set_aside(&recipe.log)?;
            let process = Process::start(&recipe, &self.watcher)?;
            names.push(recipe.name.clone());
            self.members.push(Member {
                recipe,
                process: Some(process),
            });
        }
        for name in names {
            self.process(&name)?.ready(READY).await?;
        }
        Ok(())
    }

    /// Starts a child again that was stopped or killed, and waits until it is ready.
    pub async fn restart(&mut self, name: &str) -> Result<(), Error> {
        let watcher = self.watcher.clone();
        let member = self.member(name)?;
        let process = Process::start(&member.recipe, &watcher)?;
        member.process.insert(process).ready(READY).await
    }

    /// Stops a child in order.
    pub async fn stop(&mut self, name: &str) -> Result<(), Error> {
        self.process(name)?.stop().await;
        Ok(())
    }

    /// Kills a child with SIGKILL.
    pub async fn kill(&mut self, name: &str) -> Result<(), Error> {
        self.process(name)?.kill().await;
        Ok(())
    }

    /// Stops all, the last first. Returns the names of those that had to be killed.
    pub async fn stop_all(&mut self) -> Vec<String> {
        let mut stubborn = Vec::new();
        while let Some(member) = self.members.pop() {
            if let Some(mut process) = member.process
                && !process.stop().await
            {
                stubborn.push(member.recipe.name);
            }
        }
        stubborn
    }

    fn member(&mut self, name: &str) -> Result<&mut Member, Error> {
        self.members
            .iter_mut()
            .find(|member| member.recipe.name == name)
            .ok_or_else(|| Error::Broken(format!("no process is called {name}")))
    }

    fn process(&mut self, name: &str) -> Result<&mut Process, Error> {
        self.member(name)?
            .process
            .as_mut()
            .ok_or_else(|| Error::Broken(format!("{name} is not running")))
    }
}
