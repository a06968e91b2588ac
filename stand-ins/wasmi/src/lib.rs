//! Runs no WebAssembly: what `typst-library` needs of [wasmi](https://docs.rs/wasmi/1) to compile.
//!
//! wasmi runs plugins that a document loads. The report's templates are part of the program and load none, so the interpreter is a
//! megabyte of code that never runs. [`Module::new`] refuses every plugin; what could only be had of a loaded one has no values.

use std::fmt;
use std::marker::PhantomData;

/// Why nothing was loaded.
#[derive(Debug)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("this program runs no plugins")
    }
}

#[derive(Default)]
pub struct Config;

impl Config {
    pub fn wasm_relaxed_simd(&mut self, _: bool) -> &mut Self {
        self
    }
}

pub struct Engine;

impl Engine {
    pub fn new(_: &Config) -> Self {
        Self
    }
}

pub enum Module {}

impl Module {
    /// # Errors
    /// Always.
    pub fn new(_: &Engine, _: &[u8]) -> Result<Self, Error> {
        Err(Error)
    }

    pub fn get_export(&self, _: &str) -> Option<ExternType> {
        match *self {}
    }

    pub fn exports(&self) -> std::slice::Iter<'_, ExportType> {
        match *self {}
    }
}

pub enum ExportType {}

impl ExportType {
    pub fn name(&self) -> &str {
        match *self {}
    }

    pub fn ty(&self) -> &ExternType {
        match *self {}
    }
}

pub enum ExternType {
    Func(FuncType),
    Memory(Memory),
}

pub enum FuncType {}

impl FuncType {
    pub fn params(&self) -> &[ValType] {
        match *self {}
    }

    pub fn results(&self) -> &[ValType] {
        match *self {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ValType {
    I32,
}

pub enum Val {
    I32(i32),
}

pub struct Linker<T> {
    engine: Engine,
    data: PhantomData<fn() -> T>,
}

impl<T> Linker<T> {
    pub fn new(_: &Engine) -> Self {
        Self { engine: Engine, data: PhantomData }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// # Errors
    /// Never.
    pub fn func_wrap<F>(&mut self, _: &str, _: &str, _: F) -> Result<&mut Self, Error> {
        Ok(self)
    }

    /// # Errors
    /// Never: there is no module to start.
    pub fn instantiate_and_start(&self, _: &mut Store<T>, module: &Module) -> Result<Instance, Error> {
        match *module {}
    }
}

pub struct Store<T>(T);

impl<T> Store<T> {
    pub fn new(_: &Engine, data: T) -> Self {
        Self(data)
    }

    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

pub struct Caller<T>(Instance, PhantomData<fn() -> T>);

impl<T> Caller<T> {
    pub fn get_export(&self, _: &str) -> Option<Extern> {
        match self.0 {}
    }

    pub fn data_mut(&mut self) -> &mut T {
        match self.0 {}
    }
}

pub enum Instance {}

impl Instance {
    pub fn get_export<T>(&self, _: &Store<T>, _: &str) -> Option<Extern> {
        match *self {}
    }
}

pub enum Extern {}

impl Extern {
    pub fn into_func(self) -> Option<Func> {
        match self {}
    }

    pub fn into_memory(self) -> Option<Memory> {
        match self {}
    }
}

pub enum Func {}

impl Func {
    pub fn ty<T>(&self, _: &Store<T>) -> FuncType {
        match *self {}
    }

    /// # Errors
    /// Never: there is no function to call.
    pub fn call<T>(&self, _: &mut Store<T>, _: &[Val], _: &mut [Val]) -> Result<(), Error> {
        match *self {}
    }
}

pub enum Memory {}

impl Memory {
    pub fn size<T>(&self, _: &Store<T>) -> u64 {
        match *self {}
    }

    pub fn data<'a, T>(&self, _: &'a Store<T>) -> &'a [u8] {
        match *self {}
    }

    pub fn data_mut<'a, T>(&self, _: &'a mut Store<T>) -> &'a mut [u8] {
        match *self {}
    }

    /// # Errors
    /// Never: there is no memory to grow.
    pub fn grow<T>(&self, _: &mut Store<T>, _: u64) -> Result<u64, Error> {
        match *self {}
    }

    /// # Errors
    /// Never: there is no memory to write to.
    pub fn write<T>(&self, _: &mut Caller<T>, _: usize, _: &[u8]) -> Result<(), Error> {
        match *self {}
    }

    /// # Errors
    /// Never: there is no memory to read.
    pub fn read<T>(&self, _: &Caller<T>, _: usize, _: &mut [u8]) -> Result<(), Error> {
        match *self {}
    }
}
