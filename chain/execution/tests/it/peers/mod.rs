//! Other native chains as peers: packets proven by certificate and path.

mod economy;
mod rules;
mod token;
mod vectors;
mod world;
