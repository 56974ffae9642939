package main

func alone() {}
