"""
Sensor messages to arrays, live and from bags alike.

Nothing here imports a message package: functions take any object with the fields of the message,
whether rclpy or a bag reader made it.
"""
