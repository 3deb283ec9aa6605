"""What tests share: a scripted outside world and a whole actor system under the pump. Nothing of it is shipped."""
