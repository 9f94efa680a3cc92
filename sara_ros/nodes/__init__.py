"""The ROS 2 side: nodes, message codecs and QoS; the only room that imports rclpy."""
