"""What tests share: real servers, services under test, builders."""
